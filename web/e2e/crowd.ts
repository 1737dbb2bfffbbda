import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type * as Sdk from "@parlor/sdk";
import type { Person } from "./person.ts";

const sdk = fileURLToPath(new URL("../sdk/dist/", import.meta.url));

/**
 * Many in one page: each enters, joins the call with the SDK alone and publishes a tiny camera of its own id, and watches nobody.
 * Enough to fill somebody else's layout without a browser tab for each.
 */
export async function crowd(host: Person, roomId: string, ids: number[]): Promise<void> {
  await host.page.route("**/crowd/*.js", async (route) => {
    const file = new URL(route.request().url()).pathname.replace("/crowd/", "");
    await route.fulfill({ contentType: "text/javascript", body: await readFile(sdk + file) });
  });
  await host.page.evaluate(
    async ({ roomId, ids }) => {
      const { Call, Parlor } = (await import(new URL("/crowd/index.js", location.href).href)) as typeof Sdk;
      for (const id of ids) {
        const parlor = new Parlor();
        await parlor.api.enter({ nickname: `guest${id}`, birthYear: 1990, adult: true });
        const room = parlor.room(roomId);
        const call = new Call(room);
        room.on("state", () => void call.join());
        await call.publish("camera", globalThis.__media.canvasTrack(id, 80, 45, 5));
        const connected = new Promise<void>((resolve) => {
          call.on("change", ({ phase }) => phase === "connected" && resolve());
        });
        room.join();
        parlor.socket.connect();
        await connected;
      }
    },
    { roomId, ids },
  );
}
