/* Lets flot 4 draw what asv's pages ask of flot 0.8.

   - Times are in milliseconds, not in seconds.
   - The ends of an axis that asv gives hold; flot 4 puts those of the data in their place.
   - The y axis begins at zero unless one zooms, whatever the unit. asv does so only for
     seconds and bytes, and lets others begin at the least value: one of a hundred per cent
     looks like one of half a per cent.
   - Text is SVG, which takes no HTML: asv writes powers of ten with <sup> and names with
     entities.

   And what asv's pages do not think of, a single commit:

   - It is in the middle of the x axis, not on the y axis.
   - It is a point where asv asks for lines alone.
   - Even spacing holds beside the commits, too: asv knows none but theirs. */
(function ($) {
    "use strict";

    var SUPERSCRIPTS = { "-": "\u207b", "+": "\u207a", "0": "\u2070", "1": "\u00b9",
        "2": "\u00b2", "3": "\u00b3", "4": "\u2074", "5": "\u2075", "6": "\u2076",
        "7": "\u2077", "8": "\u2078", "9": "\u2079" };

    var DAY = 24 * 60 * 60 * 1000;

    function raised(match, digits) {
        return digits.replace(/./g, function (digit) {
            return SUPERSCRIPTS[digit] || digit;
        });
    }

    function plainText(html) {
        var page = new DOMParser().parseFromString(
            String(html).replace(/<sup>([^<]*)<\/sup>/g, raised), "text/html");
        return page.documentElement.textContent;
    }

    function formatPlainly(plot) {
        $.each(plot.getAxes(), function (name, axis) {
            var format = axis.options.tickFormatter;
            if (typeof format === "function") {
                axis.options.tickFormatter = function () {
                    return plainText(format.apply(null, arguments));
                };
            }
        });
    }

    /* Names on an axis go through no formatter. */
    function namePlainly(plot, axis) {
        if (axis.options.mode === "categories") {
            $.each(axis.ticks, function (i, tick) { tick.label = plainText(tick.label); });
        }
    }

    function isGiven(end) {
        return end !== null && end !== undefined;
    }

    function isAbridged(axis) {
        var isZoomed = $("#zoom-y-axis").hasClass("active") || axis.options.transform;
        return axis.direction === "y" && axis.options.min > 0 && !isZoomed;
    }

    /* Called before flot makes the range out of the least and the greatest value. */
    function keepGivenEnds(plot, axis, fitsData) {
        var given = axis.options;
        if (!fitsData || !(isGiven(given.min) || isGiven(given.max))) {
            return;
        }
        var least = isGiven(given.min) ? given.min : axis.datamin;
        var greatest = isGiven(given.max) ? given.max : axis.datamax;
        if (axis.datamin === axis.datamax && !isGiven(given.max)) {
            greatest *= 1.3; // all of a point, not its lower half
        }
        if (isAbridged(axis)) {
            least = given.min = 0;
            greatest = given.max = 1.3 * greatest;
        }
        var margin = (greatest - least) * 0.02;
        axis.datamin = isGiven(given.min) ? least : least - margin;
        axis.datamax = isGiven(given.max) ? greatest : greatest + margin;
        given.autoScale = "exact";
    }

    function placeInMiddle(plot, axis) {
        var beside = axis.options.mode === "time" ? DAY : 1;
        if (axis.direction === "x" && isGiven(axis.datamin) && axis.datamin === axis.datamax) {
            axis.datamin -= beside;
            axis.datamax += beside;
        }
    }

    function showLonePoint(plot, series, datapoints) {
        var values = datapoints.points.filter(function (value, i) {
            return i % datapoints.pointsize === 1 && isGiven(value);
        });
        if (values.length === 1 && !series.bars.show) {
            series.points.show = true;
        }
    }

    /* Where each of some places is among them; 1.5 is between the second and the third. */
    function ranks(from, to) {
        var last = from.length - 1;
        return function (value) {
            if (value <= from[0]) { return to[0] + value - from[0]; }
            if (value >= from[last]) { return to[last] + value - from[last]; }
            var i = from.findIndex(function (place) { return value < place; });
            var part = (value - from[i - 1]) / (from[i] - from[i - 1]);
            return to[i - 1] + part * (to[i] - to[i - 1]);
        };
    }

    /* In place of asv's own, which is the only transformation of an x axis. */
    function spaceEvenly(plot, axis) {
        if (axis.direction !== "x" || !axis.options.transform) {
            return;
        }
        var places = new Set();
        plot.getData().forEach(function (series) {
            series.datapoints.points.forEach(function (value, i) {
                if (i % series.datapoints.pointsize === 0 && isGiven(value)) {
                    places.add(value);
                }
            });
        });
        var sorted = Array.from(places).sort(function (a, b) { return a - b; });
        if (sorted.length) {
            axis.options.transform = ranks(sorted, Array.from(sorted.keys()));
            axis.options.inverseTransform = ranks(Array.from(sorted.keys()), sorted);
        }
    }

    $.plot.plugins.push({
        init: function (plot) {
            plot.hooks.processDatapoints.push(showLonePoint);
            plot.hooks.setRange.push(placeInMiddle, keepGivenEnds, spaceEvenly);
            plot.hooks.processOptions.push(formatPlainly);
            plot.hooks.axisReserveSpace.push(namePlainly);
        },
        options: {
            xaxis: { timeBase: "milliseconds" },
            yaxis: { timeBase: "milliseconds" }
        },
        name: "asvOnFlot4",
        version: "fusesg"
    });
})(jQuery);
