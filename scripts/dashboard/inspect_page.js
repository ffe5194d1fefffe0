/* What check.py asks a page of the dashboard: evaluated in it, never part of it. */
window.inspectPage = (function () {
    "use strict";

    function finite(value) { return typeof value === "number" && isFinite(value); }

    function isDrawn(canvas, colours) {
        var pixels = canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height).data;
        return colours.some(function (colour) {
            var wanted = $.color.parse(colour);
            for (var i = 0; i < pixels.length; i += 4) {
                if (pixels[i + 3] > 200 && Math.abs(pixels[i] - wanted.r) < 24 &&
                        Math.abs(pixels[i + 1] - wanted.g) < 24 &&
                        Math.abs(pixels[i + 2] - wanted.b) < 24) {
                    return true;
                }
            }
            return false;
        });
    }

    function hasNoValue(series) {
        return series.data.every(function (point) { return !point || point[1] === null; });
    }

    /* Places and sizes of what a series shows. */
    function shown(series) {
        var points = series.datapoints.points, size = series.datapoints.pointsize, all = [];
        for (var i = 0; i < points.length; i += size) {
            if (finite(points[i]) && finite(points[i + 1])) {
                all.push([points[i], points[i + 1]]);
            }
        }
        return all;
    }

    function overlapping(all) {
        var bars = all.filter(function (series) { return series.bars.show; });
        return bars.some(function (one, i) {
            return bars.slice(i + 1).some(function (other) {
                return shown(one).some(function (a) {
                    return shown(other).some(function (b) {
                        return Math.abs(a[0] - b[0]) < 0.99 * one.bars.barWidth;
                    });
                });
            });
        });
    }

    /* Everything that is wrong with a plot, in words. */
    function problemsOf(placeholder) {
        var plot = $(placeholder).data("plot");
        var canvas = $(placeholder).find("canvas.flot-base")[0];
        if (!plot || !canvas) { return ["nothing is drawn"]; }
        var all = plot.getData(), problems = [], points = 0;
        all.forEach(function (series) {
            shown(series).forEach(function (point) {
                points += 1;
                var x = series.xaxis.p2c(point[0]), y = series.yaxis.p2c(point[1]);
                if (!(x >= -1 && x <= plot.width() + 1 && y >= -1 && y <= plot.height() + 1)) {
                    problems.push("a point is outside of the plot: " + point);
                }
            });
        });
        if (all.every(hasNoValue)) { return problems; } // the commit has not what is measured
        if (points === 0) { problems.push("there is no point"); }
        if (overlapping(all)) { problems.push("bars lie over each other"); }
        var colours = all.map(function (series) { return series.color; });
        if (!isDrawn(canvas, colours)) { problems.push("no pixel has the colour of a line"); }
        $(placeholder).find("text").each(function () {
            var text = this.textContent;
            if (/NaN|undefined|Infinity|<sup>|&\w+;/.test(text)) {
                problems.push("odd text: " + text);
            }
        });
        return problems;
    }

    function isOver(one, other) {
        return one.left < other.right && other.left < one.right &&
            one.top < other.bottom && other.top < one.bottom;
    }

    /* Of the legend below the graph. */
    function legendProblems() {
        var legend = $(".graph-legend")[0], canvas = $("#main-graph canvas.flot-base")[0];
        var lines = $("#main-graph").data("plot").getData();
        var isShown = $("#show-legend").hasClass("active") && lines.length > 1;
        var entries = legend ? legend.children.length : 0, problems = [];
        if (isShown && entries !== lines.length) {
            problems.push(lines.length + " lines, but " + entries + " in the legend");
        }
        if (entries && isOver(legend.getBoundingClientRect(), canvas.getBoundingClientRect())) {
            problems.push("the legend lies over the graph");
        }
        return problems;
    }

    return {
        problemsOf: problemsOf,
        /* Of the graph page. */
        graph: function () {
            var problems = problemsOf("#main-graph");
            if (!$("#main-graph .yLabel, #main-graph .y1Label, #main-graph text").length) {
                problems.push("the axes have no text");
            }
            if ($("#main-graph").data("plot")) { problems = problems.concat(legendProblems()); }
            if ($("#error").hasClass("in")) { problems.push($("#error-message").text()); }
            return problems;
        },
        /* Of all small graphs of the grid. */
        grid: function () {
            var problems = [];
            $(".benchmark-plot").each(function () {
                var own = problemsOf(this), name = this.id.replace("summarygrid-", "");
                own.forEach(function (problem) { problems.push(name + ": " + problem); });
            });
            return problems;
        },
        /* Where in the window the first point of the graph is. */
        placeOfPoint: function () {
            var plot = $("#main-graph").data("plot"), series = plot.getData()[0];
            var point = shown(series)[0], place = plot.offset();
            return [place.left + series.xaxis.p2c(point[0]) - $(window).scrollLeft(),
                place.top + series.yaxis.p2c(point[1]) - $(window).scrollTop()];
        },
        /* Goes to another graph, and waits for that one. */
        forget: function () { $("#main-graph").removeData("plot").empty(); },
        isThere: function () { return !!$("#main-graph").data("plot"); }
    };
})();
