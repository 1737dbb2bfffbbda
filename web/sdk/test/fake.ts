import { vi } from "vitest";
import { Socket } from "../src/socket.js";

/** A server's end of the socket, for tests: what the client wrote can be read and answered. */
export class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly written: { type: string; id?: string; data: Record<string, unknown> }[] = [];
  closedWith: number | undefined;

  send(text: string): void {
    this.written.push(JSON.parse(text));
  }

  close(code?: number): void {
    this.closedWith = code ?? 1005;
  }

  /** The frames of one type that the client wrote. */
  of(type: string): { type: string; id?: string; data: Record<string, unknown> }[] {
    return this.written.filter((frame) => frame.type === type);
  }

  last(type: string): { type: string; id?: string; data: Record<string, unknown> } {
    const frame = this.of(type).at(-1);
    if (!frame) throw new Error(`the client wrote no ${type}`);
    return frame;
  }

  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** Answers the last frame of this type. */
  answer(type: string, frame: object): void {
    this.say({ ...frame, id: this.last(type).id });
  }

  lose(code = 1006): void {
    this.onclose?.({ code });
  }

  login(resumed = false): void {
    this.onopen?.();
    const user = { id: "me", nickname: "ada", role: "member" };
    const data = { user, sessionId: "s", resumeToken: "again", resumed, serverTime: "", pingEveryMs: 25_000 };
    this.answer("authenticate", { type: "authenticated", data });
  }
}

/** A socket that is logged in, the server's end of it, and a way for it to come back after a loss. */
export async function connect() {
  const opened: FakeSocket[] = [];
  const socket = new Socket({
    url: "ws://test/ws",
    token: async () => "T",
    invalidate: () => undefined,
    random: () => 1,
    open: () => {
      const fake = new FakeSocket();
      opened.push(fake);
      return fake as unknown as WebSocket;
    },
  });
  const server = () => opened.at(-1) as FakeSocket;
  const back = async (resumed: boolean) => {
    const before = opened.length;
    while (opened.length === before) await vi.advanceTimersByTimeAsync(500);
    server().login(resumed);
    await vi.advanceTimersByTimeAsync(0);
  };
  socket.connect();
  await vi.advanceTimersByTimeAsync(0);
  server().login();
  await vi.advanceTimersByTimeAsync(0);
  return { socket, server, back };
}
