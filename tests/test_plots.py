"""The pictures: what is drawn is what was given, and lines can be told apart without colour."""

from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from resnet_edu import plots

matplotlib.use("agg")

OKABE_ITO = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}


@pytest.fixture(autouse=True)
def fresh():
    """Every test starts in the book's style and leaves neither a figure nor a setting behind."""
    with matplotlib.rc_context():
        plots.style()
        yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


def drawn(ax) -> dict:
    return {line.get_label(): line.get_ydata().tolist() for line in ax.lines}


def contrast_with_white(colour) -> float:
    """WCAG's contrast ratio, from 1 to 21."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 1.05 / (np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05)


# --- style -----------------------------------------------------------------------------------------------------------


def test_the_cycle_is_okabe_and_itos_with_a_line_style_for_each():
    cycle = list(plt.rcParams["axes.prop_cycle"])
    assert {entry["color"] for entry in cycle} == OKABE_ITO and len(cycle) == 8
    assert len({str(entry["linestyle"]) for entry in cycle}) == 8 == len(set(plots.MARKERS))
    assert [entry["color"] for entry in cycle] == list(plots.COLOURS.values())


def test_style_is_white_fits_a_column_and_leaves_no_figure():
    before = dict(plt.rcParams)
    plots.style()
    assert dict(plt.rcParams) == before and not plt.get_fignums()
    assert plt.rcParams["figure.figsize"][0] == 7 and plt.rcParams["figure.facecolor"] == "white"


def test_plain_and_residual_differ_in_colour_and_in_line():
    plain, residual = plots.look("plain"), plots.look("residual")
    assert plain["color"].upper() in OKABE_ITO and residual["color"].upper() in OKABE_ITO
    assert plain["color"] != residual["color"] and plain["linestyle"] != residual["linestyle"]
    assert plots.NETS["plain"]["hatch"] != plots.NETS["residual"]["hatch"]


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_depths_of_one_kind_differ_in_shade_and_marker(kind):
    looks = [plots.look(kind, rank, 3) for rank in range(3)]
    assert len({look["marker"] for look in looks}) == 3
    contrasts = [contrast_with_white(look["color"]) for look in looks]
    assert contrasts[0] > 3  # WCAG 1.4.11
    assert contrasts[1] > 1.3 * contrasts[0] and contrasts[2] > 1.3 * contrasts[1]


@pytest.mark.parametrize("wrong", [("dense",), ("plain", 3, 3), ("plain", -1, 3), ("plain", 0, 9), ("plain", 0, 0)])
def test_look_names_what_is_wrong(wrong):
    with pytest.raises(ValueError, match="plain, residual, not 'dense'" if wrong == ("dense",) else "rank should lie"):
        plots.look(*wrong)


# --- curves ----------------------------------------------------------------------------------------------------------


def test_curves_draw_the_data_given(ax):
    series = {"array": np.array([3.0, 1.0, 2.0]), "list": [5, 4, 3], "tensor": torch.tensor([1.0, 2.0, 3.0]).bfloat16()}
    assert plots.curves(ax, [10, 20, 30], series, xlabel="step", ylabel="loss (nats)") is ax
    assert drawn(ax) == {"array": [3, 1, 2], "list": [5, 4, 3], "tensor": [1, 2, 3]}
    assert all(line.get_xdata().tolist() == [10, 20, 30] for line in ax.lines)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss (nats)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(series)
    assert len({line.get_color() for line in ax.lines}) == len({line.get_marker() for line in ax.lines}) == 3
    assert len(plt.get_fignums()) == 1


def test_a_tensor_that_needs_a_gradient_is_drawn(ax):
    plots.curves(ax, None, {"loss": torch.tensor([2.0, 1.0], requires_grad=True)})
    assert drawn(ax) == {"loss": [2, 1]} and ax.lines[0].get_xdata().tolist() == [1, 2]
    assert ax.get_legend() is None


def test_band_reaches_from_the_lowest_to_the_highest_seed_and_encloses_the_median(ax):
    seeds = np.random.default_rng(0).random((5, 40))
    plots.curves(ax, None, {"net": seeds})
    line = ax.lines[0].get_ydata()
    np.testing.assert_array_equal(line, np.median(seeds, axis=0))
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    for step in range(40):
        heights = corners[corners[:, 0] == step + 1, 1]
        assert heights.min() == seeds[:, step].min() <= line[step] <= seeds[:, step].max() == heights.max()
    assert to_hex(band.get_facecolor()[0][:3]) == to_hex(ax.lines[0].get_color())


def test_one_seed_has_no_band(ax):
    plots.curves(ax, None, {"net": [[1, 2, 3]]})
    assert not ax.collections


def test_looks_decide_the_line(ax):
    look = plots.look("residual", 1, 3)
    plots.curves(ax, None, {"a": [1, 2], "residual 20": [2, 3]}, looks={"residual 20": look})
    line = ax.lines[1]
    assert (line.get_color(), line.get_linestyle(), line.get_marker()) == (look["color"], "-", "s")


def test_long_lines_get_few_markers(ax):
    plots.curves(ax, None, {str(number): np.ones(3000) for number in range(8)})
    for line in ax.lines:
        start, every = line.get_markevery()
        assert 8 <= len(range(start, 3000, every)) <= 9
    assert len({line.get_markevery()[0] for line in ax.lines}) >= 3


def test_a_second_call_goes_on_with_other_markers(ax):
    plots.curves(ax, None, {"a": [1, 2]})
    plots.curves(ax, None, {"b": [1, 2]})
    assert ax.lines[0].get_marker() != ax.lines[1].get_marker()


def test_a_diverged_run_is_a_gap(ax):
    plots.curves(ax, None, {"net": [[1, 2, np.nan], [1, 2, 3]], "other": [1, np.nan, np.nan]}, log=True, direct=True)
    assert np.isnan(ax.lines[0].get_ydata()[2])
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.texts] == ["other", "net"] and [t.xy[0] for t in ax.texts] == [1, 2]


@pytest.mark.parametrize("log", [False, True])
def test_direct_labels_do_not_overlap_and_can_be_read(ax, log):
    series = {"a": [1, 1.0], "b": [1, 1.001], "c": [1, 1.002], "d": [1, 5]}
    plots.curves(ax, None, series, direct=True, log=log)
    ax.figure.canvas.draw()
    assert ax.get_legend() is None
    boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert [text.get_text() for text in ax.texts] == list("abcd")
    assert all(low.y0 + 12 < high.y0 for low, high in pairwise(boxes))


def test_direct_labels_of_pale_lines_can_be_read(ax):
    pale = [*plots.COLOURS.values(), *(plots.look(kind, 0, 3)["color"] for kind in plots.NETS)]
    series, looks = {colour: [1, 2] for colour in pale}, {colour: {"color": colour} for colour in pale}
    plots.curves(ax, None, series, looks=looks, direct=True)
    assert len(ax.texts) == len(pale) == 10
    assert min(contrast_with_white(text.get_color()) for text in ax.texts) > 3


def test_direct_labels_belong_to_the_lines_of_their_call(ax):
    ax.axhline(0.5)
    plots.curves(ax, None, {"first": [1, 2, 3]}, direct=True)
    plots.curves(ax, None, {"second": [2, 3, 4]}, direct=True)
    assert [(text.get_text(), tuple(text.xy)) for text in ax.texts] == [("first", (3, 3)), ("second", (3, 4))]


@pytest.mark.parametrize(
    ("x", "series", "message"),
    [
        ([1, 2], {"net": [1, 2, 3]}, r"x has shape \(2,\) and 'net' \(3,\)"),
        ([[1, 2]], {"net": [1, 2]}, r"x has shape \(1, 2\)"),
        (None, {"net": np.ones((2, 2, 2))}, r"\(seeds, steps\), but"),
        (None, {"net": []}, r"'net' \(0,\)"),
        ([1, 2], {"net": 3.0}, r"'net' \(\)"),
    ],
)
def test_curves_of_the_wrong_shape_are_named(x, series, message, ax):
    with pytest.raises(ValueError, match=message):
        plots.curves(ax, x, series)


def test_zero_on_a_logarithmic_axis_is_an_error(ax):
    with pytest.raises(ValueError, match="'net' holds 0, which has no place"):
        plots.layers(ax, {"net": [1.0, 0.0]}, ylabel="norm")
    assert not ax.lines


def test_layers_of_different_depths_share_an_axis(ax):
    plots.layers(ax, {"8": np.ones(7), "20": np.ones((3, 19))}, ylabel="gradient norm")
    assert [len(line.get_xdata()) for line in ax.lines] == [7, 19] and ax.get_yscale() == "log"
    assert all(line.get_xdata()[0] == 1 for line in ax.lines)
    assert all(tick == round(tick) for tick in ax.get_xticks())


def test_smooth_is_the_mean_of_the_last_steps():
    losses = np.random.default_rng(0).random((2, 3, 50))
    smoothed = plots.smooth(losses, 7)
    assert smoothed.shape == losses.shape
    for step in range(50):
        np.testing.assert_allclose(smoothed[..., step], losses[..., max(0, step - 6) : step + 1].mean(axis=-1))
    np.testing.assert_array_equal(plots.smooth(losses, 1), losses)
    assert plots.smooth(torch.tensor([1.0, 3.0]), 5).tolist() == [1, 2]
    assert np.isnan(plots.smooth([1, np.nan, 1, 1, 1], 2)).tolist() == [False, True, True, False, False]
    with pytest.raises(ValueError, match="at least 1 step, but it is 0"):
        plots.smooth(losses, 0)
    with pytest.raises(ValueError, match="steps"):
        plots.smooth(3.0, 2)


# --- bars ------------------------------------------------------------------------------------------------------------


def test_bars_start_at_zero_and_have_the_heights_given(ax):
    plots.bars(ax, ["8", "20"], {"plain": [[1, 4], [3, 4], [2, 7]], "residual": [1, 0.5]}, ylabel="error (%)")
    heights = [bar.get_height() for container in ax.containers[-1:] for bar in container]
    assert heights == [1, 0.5] and ax.get_ylim()[0] == 0
    plain = ax.patches[:2]
    assert [bar.get_height() for bar in plain] == [2, 4]
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches[::2]] == [
        plots.NETS[kind]["color"].lower() for kind in plots.NETS
    ]
    assert [text.get_text() for text in ax.texts] == ["2", "4", "1", "0.5"]
    whiskers = [tuple(part[:, 1].tolist()) for part in ax.collections[0].get_segments()]
    assert whiskers == [(1, 3), (4, 7)]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["8", "20"]


def test_bars_of_many_kinds_are_drawn(ax):
    plots.bars(ax, ["a"], {str(number): [number] for number in range(10)}, ylabel="count")
    assert len(ax.patches) == 10


def test_bars_of_the_wrong_number_are_named(ax):
    with pytest.raises(ValueError, match=r"'plain' should have one value for each of 2 groups, .*\(3,\)"):
        plots.bars(ax, ["8", "20"], {"plain": [1, 2, 3]}, ylabel="error")


# --- images ----------------------------------------------------------------------------------------------------------


def shown(figure) -> list[np.ndarray]:
    return [np.asarray(place.images[0].get_array()).squeeze() for place in figure.axes if place.images]


def test_images_are_drawn_with_their_values():
    images = torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8)
    figure = plots.show_images(images, titles=range(5), columns=3)
    assert [place.get_title() for place in figure.axes] == list("01234")
    for image, pixels in zip(images, shown(figure), strict=True):
        np.testing.assert_allclose(pixels, image.permute(1, 2, 0) / 255)
    assert all(place.images[0].get_interpolation() == "nearest" for place in figure.axes)
    rows = {round(place.get_subplotspec().get_position(figure).y0, 3) for place in figure.axes}
    assert len(rows) == 2


def test_a_grid_without_columns_is_refused():
    with pytest.raises(ValueError, match="columns should be at least 1, but is 0"):
        plots.show_images(np.zeros((1, 2, 2)), columns=0)
    with pytest.raises(ValueError, match="columns should be at least 1, but is -1"):
        plots.feature_maps(np.zeros((1, 2, 2)), columns=-1)


def test_grey_images_share_one_scale_and_are_not_stretched():
    figure = plots.show_images(np.full((1, 2, 2), 128, dtype=np.uint8))
    np.testing.assert_allclose(shown(figure)[0], 128 / 255)
    image = figure.axes[0].images[0]
    assert image.get_clim() == (0, 1) and image.get_cmap().name == "gray"


def test_floats_are_shown_from_zero_to_one_or_between_limits():
    images = torch.tensor([0.0, 0.25, 1.0, 0.5]).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(shown(plots.show_images(images))[0], images[0, 0])
    wide = images * 4 - 2
    pixels = shown(plots.show_images(wide, limits=(wide.min(), wide.max())))[0]
    np.testing.assert_allclose(pixels, images[0, 0])
    with pytest.raises(ValueError, match=r"reach from -2 to 2: pass limits=\(low, high\)"):
        plots.show_images(wide)
    with pytest.raises(ValueError, match="low below high"):
        plots.show_images(wide, limits=(1, 1))


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8), (4, 2, 8, 8), (0, 3, 8, 8), (8, 8, 3)])
def test_images_of_the_wrong_shape_are_named(shape):
    with pytest.raises(ValueError, match=r"1 or 3 channels, .*\("):
        plots.show_images(np.zeros(shape))
    assert not plt.get_fignums()


def test_titles_must_be_as_many_as_the_images():
    with pytest.raises(ValueError, match="2 images, but 3 titles"):
        plots.show_images(torch.zeros(2, 1, 4, 4), titles="abc")


def test_feature_maps_share_one_scale():
    maps = torch.arange(3 * 4.0).reshape(1, 3, 2, 2).requires_grad_()
    figure = plots.feature_maps(maps, label="activation")
    places = figure.axes[:3]
    assert {place.images[0].get_clim() for place in places} == {(0.0, 11.0)}
    assert [place.images[0].get_array().tolist() for place in places] == maps[0].tolist()
    assert figure.axes[3].get_ylabel() == "activation"
    with pytest.raises(ValueError, match=r"one image's, .*\(2, 3, 4, 4\)"):
        plots.feature_maps(torch.zeros(2, 3, 4, 4))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_feature_maps_take_their_scale_from_what_is_finite(wrong):
    figure = plots.feature_maps([[[1.0, wrong], [2.0, 3.0]]])
    (image,) = figure.axes[0].images
    assert image.get_clim() == (1, 3)
    assert np.ma.getmaskarray(image.get_array()).tolist() == [[False, True], [False, False]]
    with pytest.raises(ValueError, match="none of the maps' values is finite"):
        plots.feature_maps(np.full((1, 2, 2), wrong))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_of_every_float_type_are_drawn(dtype):
    images = torch.tensor([0.0, 0.25, 1.0, 0.5]).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(shown(plots.show_images(images.to(dtype)))[0], images[0, 0])


def test_heat_map_has_its_values_written_and_a_named_colour_bar(ax):
    matrix = np.outer([1, 2, 1], [1, 2, 3, 2])
    assert plots.heatmap(ax, matrix, label="paths", written="{:.0f}") is ax
    assert ax.images[0].get_array().tolist() == matrix.tolist() and ax.images[0].get_cmap().name == "viridis"
    written = {text.get_position(): int(text.get_text()) for text in ax.texts}
    assert written == {(column, row): matrix[row, column] for row in range(3) for column in range(4)}
    assert ax.figure.axes[1].get_ylabel() == "paths"
    assert ax.get_ylim() == (2.5, -0.5)  # row 0 on top
    for text in ax.texts:
        value = ax.images[0].norm(int(text.get_text()))
        behind = contrast_with_white(ax.images[0].cmap(value))
        assert (behind if text.get_color() == "white" else 21 / behind) > 3.5


@pytest.mark.parametrize("shape", [(3,), (1, 3, 3), (0, 3)])
def test_heat_map_of_the_wrong_shape_is_named(shape, ax):
    with pytest.raises(ValueError, match="needs a matrix"):
        plots.heatmap(ax, np.zeros(shape), label="")


def test_a_full_figure_is_small_enough_to_store(tmp_path):
    figure, axes = plt.subplots(1, 2)
    random = np.random.default_rng(0)
    for ax in axes:
        plots.curves(ax, None, {str(number): plots.smooth(random.random((3, 300)), 15) + number for number in range(3)})
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size < 150_000
    assert plt.imread(tmp_path / "figure.png").shape[1] >= 1000
