/* Lets flot 4 draw what asv's pages ask of flot 0.8.

   - Times are in milliseconds, not in seconds.
   - The ends of an axis that asv gives hold; flot 4 puts those of the data in their place.
   - The y axis begins at zero unless one zooms, whatever the unit. asv does so only for
     seconds and bytes, and lets others begin at the least value: one of a hundred per cent
     looks like one of half a per cent.
   - Text is SVG, which takes no HTML: asv writes powers of ten with <sup> and names with
     entities.
   - The legend has a background that its text can be read on, and is as wide as that. */
(function ($) {
    "use strict";

    var SUPERSCRIPTS = { "-": "\u207b", "+": "\u207a", "0": "\u2070", "1": "\u00b9",
        "2": "\u00b2", "3": "\u00b3", "4": "\u2074", "5": "\u2075", "6": "\u2076",
        "7": "\u2077", "8": "\u2078", "9": "\u2079" };

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
        if (isAbridged(axis)) {
            least = given.min = 0;
            greatest = given.max = 1.3 * greatest;
        }
        var margin = (greatest - least) * 0.02;
        axis.datamin = isGiven(given.min) ? least : least - margin;
        axis.datamax = isGiven(given.max) ? greatest : greatest + margin;
        given.autoScale = "exact";
    }

    /* flot makes the legend as wide as its first entries. */
    function widenLegend(plot) {
        var ends = plot.getPlaceholder().find(".legend text").map(function () {
            var box = this.getBBox();
            return box.x + box.width;
        }).get();
        if (ends.length) {
            plot.getPlaceholder().find(".legend").width(Math.max.apply(null, ends) + 6);
        }
    }

    $.plot.plugins.push({
        init: function (plot) {
            plot.hooks.setupGrid.push(widenLegend);
            plot.hooks.setRange.push(keepGivenEnds);
            plot.hooks.processOptions.push(formatPlainly);
            plot.hooks.axisReserveSpace.push(namePlainly);
        },
        options: {
            xaxis: { timeBase: "milliseconds" },
            yaxis: { timeBase: "milliseconds" },
            legend: { backgroundColor: "#fff", backgroundOpacity: 0.85 }
        },
        name: "asvOnFlot4",
        version: "fusesg"
    });
})(jQuery);
