/* Puts the legend below the graph. flot's own lies in it, over the values that are there:
   all of them, where there are many lines and few commits. */
(function ($) {
    "use strict";

    var draw = $.plot;

    /* Takes what it needs of the height, up to a part of it; the graph has the rest. */
    function legendBelow(graph) {
        var legend = graph.next(".graph-legend");
        if (!legend.length) {
            graph.css("flex", "1 1 0").parent().css({
                display: "flex", flexDirection: "column"
            });
            legend = $("<div class='graph-legend'></div>").css({
                flex: "none", maxHeight: "40%", overflowY: "auto",
                padding: "2px 4em", columns: "24em"
            }).insertAfter(graph);
        }
        return legend.empty();
    }

    function entry(label) {
        var colour = $("<i></i>").css({
            display: "inline-block", width: "1em", height: "0.6em", marginRight: "0.5em"
        });
        return $("<div></div>").css({ paddingLeft: "1.5em", textIndent: "-1.5em" })
            .text(label).prepend(colour);
    }

    $.plot = $.extend(function (placeholder, data, options) {
        var graph = $(placeholder);
        if (!graph.is("#main-graph")) {
            return draw(placeholder, data, options);
        }
        var legend = legendBelow(graph);
        var entries = data.map(function (series) { return entry(series.label); });
        if (options.legend.show) {
            // first, as it makes the graph smaller
            legend.append(entries.filter(function (one, i) { return data[i].label; }));
        }
        var plot = draw(graph, data, $.extend(true, {}, options, { legend: { show: false } }));
        plot.getData().forEach(function (series, i) {
            entries[i].children("i").css("background", series.color);
        });
        return plot;
    }, draw);
})(jQuery);
