/* Bars of several series side by side, where flot would draw them over each other.

   Series that have bars and a number in `bars.order` share the width of a place on the
   x axis; each is moved to its part of it. (asv's page asks for that where the x axis
   has names in place of numbers.) */
(function ($) {
    "use strict";

    function hasPlace(series) {
        return series.bars && series.bars.show && typeof series.bars.order === "number";
    }

    function moveBars(plot, series, datapoints) {
        if (!hasPlace(series)) {
            return;
        }
        var orders = plot.getData().filter(hasPlace).map(function (other) {
            return other.bars.order;
        }).sort(function (a, b) { return a - b; });
        var fromMiddle = orders.indexOf(series.bars.order) - (orders.length - 1) / 2;
        var moved = fromMiddle * (series.bars.barWidth[0] || series.bars.barWidth);
        for (var i = 0; i < datapoints.points.length; i += datapoints.pointsize) {
            if (datapoints.points[i] !== null) {
                datapoints.points[i] += moved;
            }
        }
    }

    $.plot.plugins.push({
        // after the plug-in that makes numbers of names
        init: function (plot) { plot.hooks.processDatapoints.push(moveBars); },
        name: "orderBars",
        version: "fusesg"
    });
})(jQuery);
