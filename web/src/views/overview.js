// Overview: the page that hangs on the wall. What `ctx` has is told in app.js.
import { figures, limits } from "./overview_figures.js";
import { alerts, cells, links } from "./overview_links.js";
import { flow, soc } from "./overview_power.js";
import { texts } from "./overview_texts.js";
import { trend } from "./overview_trend.js";
export { texts };


export function mount(root, ctx) {
  const parts = [soc(ctx), flow(ctx), figures(ctx), limits(ctx), trend(ctx), cells(ctx), links(ctx), alerts(ctx)];
  root.append(...parts.map((part) => part.element));
  const battery = () => parts.forEach((part) => part.battery?.(ctx.live.known, ctx.live.battery));
  ctx.on("battery_data", battery);
  ctx.on("state", (state) => parts.forEach((part) => part.state?.(state)));
  ctx.onLive(() => parts.forEach((part) => part.live?.()));
  battery();
}
