/* Makes the mouse choose a range of a graph.

   flot's selection waits for events that another plug-in makes out of those of the mouse,
   jquery.event.drag, which Debian's flot comes without. */
(function ($) {
    "use strict";

    var LEFT = 1, NEAR = 3; // pixels; less is a click

    function send(target, type, mouse) {
        target.trigger($.Event(type, {
            which: LEFT, pageX: mouse.pageX, pageY: mouse.pageY
        }));
    }

    function watchMouse(plot, overlay) {
        if (plot.getOptions().selection.mode === null) {
            return;
        }
        overlay.on("mousedown", function (start) {
            var isDragged = false;
            if (start.which !== LEFT) {
                return;
            }
            function move(mouse) {
                if (!isDragged && Math.abs(mouse.pageX - start.pageX) > NEAR) {
                    isDragged = true;
                    send(overlay, "dragstart", start);
                }
                if (isDragged) {
                    send(overlay, "drag", mouse);
                }
            }
            $(document).on("mousemove", move).one("mouseup", function (end) {
                $(document).off("mousemove", move);
                if (isDragged) {
                    send(overlay, "dragend", end);
                }
            });
        });
    }

    $.plot.plugins.push({
        init: function (plot) {
            plot.hooks.bindEvents.push(watchMouse);
            plot.hooks.shutdown.push(function (plot, overlay) { overlay.off("mousedown"); });
        },
        name: "drag",
        version: "fusesg"
    });
})(jQuery);
