import { WebSocket } from "ws";
import { expect, test } from "../meeting.ts";
import { ask, type Login } from "../rest.ts";

interface Frame {
  type: string;
  id?: string;
  offset?: number;
  data: Record<string, unknown>;
}

/** A program with the `ws` package, which is not ours. */
class Program {
  readonly socket: WebSocket;
  readonly #frames: Frame[] = [];
  #wake: () => void = () => undefined;

  constructor(url: string) {
    this.socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
    this.socket.on("message", (data) => {
      this.#frames.push(JSON.parse(String(data)));
      this.#wake();
    });
  }

  /** The first frame of this type that has not been looked at. */
  async next(type: string): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame?.type === type) return frame;
      if (frame) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  say(type: string, data: object, id = type): void {
    this.socket.send(JSON.stringify({ type, id, data }));
  }

  happens<T>(event: string): Promise<T> {
    return new Promise((resolve) => this.socket.once(event, resolve));
  }
}

test("a program with the ws package talks to a room, in pieces too, and each side's pings and closes are answered", async ({
  server,
}) => {
  const who = { nickname: "robot", birthYear: 1990, adult: true };
  const login = await ask<Login>(server, null, "POST", "/auth/anonymous", who);
  const wanted = { kind: "call", name: "Machines", visibility: "public", maxParticipants: 5 };
  const room = await ask<{ id: string }>(server, login, "POST", "/rooms", wanted);
  const program = new Program(server.url);
  await program.happens("open");
  program.say("authenticate", { token: login.accessToken });
  expect((await program.next("authenticated")).data.user).toMatchObject({ id: login.user.id });
  program.say("join_room", { roomId: room.id });
  await program.next("room_state");

  const text = "in pieces: ü€𝄞";
  const frame = JSON.stringify({
    type: "send_message",
    id: "m",
    data: { roomId: room.id, clientId: "c-1", content: { text } },
  });
  const bytes = Buffer.from(frame);
  for (let at = 0; at < bytes.length; at += 7) {
    program.socket.send(bytes.subarray(at, at + 7), { binary: false, fin: at + 7 >= bytes.length });
  }
  expect((await program.next("new_message")).data.message).toMatchObject({
    clientId: "c-1",
    content: { text },
  });

  const pong = program.happens<Buffer>("pong");
  program.socket.ping("still there?");
  expect(String(await pong)).toBe("still there?");

  const closed = program.happens<number>("close");
  program.socket.close(1000);
  expect(await closed).toBe(1000);
});

test("the ws package is told why it is refused", async ({ server }) => {
  const program = new Program(server.url);
  const closed = program.happens<number>("close");
  await program.happens("open");
  program.say("authenticate", { token: "nonsense" });
  expect((await program.next("error")).data.code).toBe("token_invalid");
  expect(await closed).toBe(4401);
});
