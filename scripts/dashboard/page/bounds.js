/* Draws the confidence interval of each value as a whisker.

   The build puts it behind the value, in the files of the graphs: [revision, value,
   interval], or, of a benchmark with parameters, [revision, values, intervals]. */
(function ($) {
    "use strict";

    var CAP = 4;

    /* Makes asv hand the intervals on to the plot, with the points. */
    function keepIntervals(asv) {
        var filter = asv.filter_graph_data;
        asv.filter_graph_data = function (raw, axis, indices, params) {
            var values = raw.map(function (point) { return [point[0], point[1]]; });
            var points = filter(values, axis, indices, params);
            var intervals = raw.map(function (point) { return [point[0], point[2] || null]; });
            if (params.length) {
                intervals = filter(intervals, axis, indices, params);
            }
            return points.map(function (point, i) {
                var own = [point[0], point[1]];
                own.interval = intervals[i] && intervals[i][1];
                return own;
            });
        };
    }

    function drawWhiskers(plot, context) {
        if (!plot.getPlaceholder().is("#main-graph")) {
            return; // the small ones have no place for them
        }
        var origin = plot.getPlotOffset();
        context.save();
        context.beginPath();
        context.rect(origin.left, origin.top, plot.width(), plot.height());
        context.clip();
        context.lineWidth = 1;
        context.globalAlpha = 0.7;
        plot.getData().forEach(function (series) {
            var size = series.datapoints.pointsize;
            context.strokeStyle = series.color;
            series.data.forEach(function (point, i) {
                if (!point || !point.interval || point[1] === null) {
                    return;
                }
                var x = origin.left + series.xaxis.p2c(series.datapoints.points[i * size]);
                var ends = point.interval.map(function (value) {
                    return origin.top + series.yaxis.p2c(value);
                });
                context.beginPath();
                context.moveTo(x, ends[0]);
                context.lineTo(x, ends[1]);
                ends.forEach(function (y) {
                    context.moveTo(x - CAP, y);
                    context.lineTo(x + CAP, y);
                });
                context.stroke();
            });
        });
        context.restore();
    }

    $.plot.plugins.push({
        init: function (plot) { plot.hooks.draw.push(drawWhiskers); },
        name: "intervals",
        version: "fusesg"
    });

    // behind asv's own scripts, which make $.asv when the document is there
    $(document).ready(function () { keepIntervals($.asv); });
})(jQuery);
