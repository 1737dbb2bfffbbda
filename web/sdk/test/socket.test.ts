import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { closeAction, Socket } from "../src/socket.js";
import { FakeSocket } from "./fake.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tick = () => vi.advanceTimersByTimeAsync(0);

function setUp(token: () => Promise<string | null> = async () => "T") {
  const opened: FakeSocket[] = [];
  const invalidate = vi.fn();
  const socket = new Socket({
    url: "ws://test/ws",
    token,
    invalidate,
    random: () => 1,
    open: () => {
      const fake = new FakeSocket();
      opened.push(fake);
      return fake as unknown as WebSocket;
    },
  });
  const last = () => {
    const fake = opened.at(-1);
    if (!fake) throw new Error("no socket was opened");
    return fake;
  };
  return { socket, opened, last, invalidate };
}

test("each close code has its action", () => {
  const actions = [1000, 1002, 1006, 1007, 1009, 1011, 4400, 4401, 4402, 4403, 4408, 4409, 4429, 4503].map(
    (code) => [code, closeAction(code)],
  );
  expect(Object.fromEntries(actions)).toEqual({
    1000: "stop",
    1002: "stop",
    1006: "retry",
    1007: "stop",
    1009: "stop",
    1011: "retry",
    4400: "stop",
    4401: "refresh",
    4402: "refresh",
    4403: "stop",
    4408: "retry",
    4409: "stop",
    4429: "retry",
    4503: "wait",
  });
});

test("the first frame logs in, and a lost socket resumes with the token it was given", async () => {
  const { socket, last, opened } = setUp();
  const logins: boolean[] = [];
  socket.on("authenticated", ({ resumed }) => logins.push(resumed));
  socket.connect();
  await tick();
  last().login();
  await tick();
  expect(last().of("authenticate")[0]?.data).toEqual({ token: "T", resume: null });
  last().lose();
  expect(socket.state).toBe("waiting");
  await vi.advanceTimersByTimeAsync(500);
  expect(opened).toHaveLength(2);
  last().login(true);
  await tick();
  expect(last().of("authenticate")[0]?.data).toEqual({ token: "T", resume: "again" });
  expect(logins).toEqual([false, true]);
});

test("a request is answered by its id, refused by an error, or lost with the socket", async () => {
  const { socket, last } = setUp();
  socket.connect();
  await tick();
  last().login();
  await tick();
  const inRoom = { roomId: "r" };
  const good = socket.request("call.ready", inRoom);
  const bad = socket.request("call.leave", inRoom);
  const lost = socket.request("leave_room", inRoom);
  last().answer("call.leave", {
    type: "error",
    data: { code: "rate_limited", message: "Wait.", retryAfterMs: 3000, detail: {} },
  });
  last().answer("call.ready", { type: "ok", data: {} });
  await expect(good).resolves.toMatchObject({ type: "ok" });
  await expect(bad).rejects.toMatchObject({ code: "rate_limited", retryAfterMs: 3000 });
  last().lose();
  await expect(lost).rejects.toThrow("connection was lost");
});

test("tries get rarer while the server is away", async () => {
  const { socket, last, opened } = setUp();
  socket.connect();
  await tick();
  for (const wait of [500, 1000, 2000, 4000]) {
    last().lose();
    const before = opened.length;
    await vi.advanceTimersByTimeAsync(wait - 1);
    expect(opened).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(opened).toHaveLength(before + 1);
  }
});

test("a server that goes away says when to come back", async () => {
  const { socket, last, opened } = setUp();
  socket.connect();
  await tick();
  last().login();
  await tick();
  last().say({ type: "go_away", data: { reconnectAfterMs: 7000, reason: "restart" } });
  last().lose(4503);
  await vi.advanceTimersByTimeAsync(6999);
  expect(opened).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(opened).toHaveLength(2);
});

test("an expired token is renewed before the next try, and a banned user does not come back", async () => {
  const { socket, last, opened, invalidate } = setUp();
  const stopped = vi.fn();
  socket.on("stopped", stopped);
  socket.connect();
  await tick();
  last().login();
  await tick();
  last().lose(4402);
  expect(invalidate).toHaveBeenCalledOnce();
  await vi.advanceTimersByTimeAsync(500);
  last().login(true);
  await tick();
  last().lose(4403);
  expect(stopped).toHaveBeenCalledWith({ code: 4403 });
  await vi.advanceTimersByTimeAsync(120_000);
  expect(opened).toHaveLength(2);
});

test("a live socket gets a new token when its own runs out", async () => {
  const tokens = ["T", "T2"];
  const { socket, last } = setUp(async () => tokens.shift() ?? null);
  socket.connect();
  await tick();
  last().login();
  await tick();
  last().say({ type: "token_expiring", data: { graceMs: 30_000 } });
  await tick();
  expect(last().of("authenticate")[1]?.data).toEqual({ token: "T2", resume: null });
});

test("a new token is tried for again as long as the server waits for it", async () => {
  let down = false;
  const { socket, last, opened } = setUp(async () => {
    if (down) throw new Error("nobody answers");
    return "T";
  });
  socket.connect();
  await tick();
  last().login();
  await tick();
  down = true;
  last().say({ type: "token_expiring", data: { graceMs: 30_000 } });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(last().of("authenticate")).toHaveLength(1);
  down = false;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(last().of("authenticate")).toHaveLength(2);
  expect(opened).toHaveLength(1);
});

test("a login that the server cannot check now is no bad login, and waits as long as advised", async () => {
  const { socket, last, opened } = setUp();
  const stopped = vi.fn();
  socket.on("stopped", stopped);
  socket.connect();
  await tick();
  for (let round = 1; round <= 4; round++) {
    last().onopen?.();
    const data = { code: "rate_limited", message: "Wait.", retryAfterMs: 20_000, detail: { limit: "frame" } };
    last().answer("authenticate", { type: "error", data });
    await tick();
    expect(last().closedWith).toBeUndefined();
    last().lose(1011);
    await vi.advanceTimersByTimeAsync(19_999);
    expect(opened).toHaveLength(round);
    await vi.advanceTimersByTimeAsync(1);
    expect(opened).toHaveLength(round + 1);
  }
  expect(stopped).not.toHaveBeenCalled();
});

test("a login that does not hold does not make the waits short again", async () => {
  const { socket, last, opened } = setUp();
  socket.connect();
  await tick();
  for (const wait of [500, 1000, 2000]) {
    last().login(true);
    await tick();
    last().lose(4429);
    const before = opened.length;
    await vi.advanceTimersByTimeAsync(wait - 1);
    expect(opened).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(opened).toHaveLength(before + 1);
  }
  last().login(true);
  await vi.advanceTimersByTimeAsync(5_000);
  last().lose(4429);
  const before = opened.length;
  await vi.advanceTimersByTimeAsync(500);
  expect(opened).toHaveLength(before + 1);
});

test("a connection that answers no ping is dead", async () => {
  const { socket, last, opened } = setUp();
  socket.connect();
  await tick();
  last().login();
  await tick();
  await vi.advanceTimersByTimeAsync(25_000);
  expect(last().of("ping")).toHaveLength(1);
  last().answer("ping", { type: "pong", data: {} });
  await vi.advanceTimersByTimeAsync(25_000);
  expect(socket.state).toBe("open");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(socket.state).toBe("waiting");
  await vi.advanceTimersByTimeAsync(500);
  expect(opened).toHaveLength(2);
});

test("a role on the site is known as soon as it is given", async () => {
  const { socket, last } = setUp();
  const roles: string[] = [];
  socket.on("siteRole", (role) => roles.push(role));
  socket.connect();
  await tick();
  last().login();
  await tick();
  last().say({ type: "site_role", data: { role: "moderator" } });
  expect(roles).toEqual(["moderator"]);
});
