/* Makes asv go without the graphs that there are none of: it asks for those of each
   benchmark of each machine, and the server refuses what one has not measured.

   The build tells which, in index.json. */
(function ($) {
    "use strict";

    // behind asv's own scripts, which make $.asv when the document is there
    $(document).ready(function () {
        var load = $.asv.load_graph_data;
        $.asv.load_graph_data = function (url) {
            var isAbsent = $.asv.main_json.absent_graphs.includes(decodeURIComponent(url));
            return isAbsent ? $.Deferred().reject().promise() : load(url);
        };
    });
})(jQuery);
