import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Api } from "../src/api.js";
import { Guests } from "../src/guests.js";
import { sha256 } from "../src/riddle.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tokens = (name: string) => ({
  accessToken: name,
  expiresInS: 900,
  refreshToken: null,
  user: { id: "u", nickname: "ada", role: "member" },
});

function server(answers: Record<string, () => Response>) {
  const asked: string[] = [];
  const fetcher = vi.fn(async (input: RequestInfo | URL, init?: RequestInit) => {
    const path = String(input).replace("/api/v1", "");
    const token = new Headers(init?.headers).get("authorization");
    const body = path.startsWith("/reports") ? ` ${init?.body}` : "";
    asked.push(`${init?.method} ${path}${token ? ` ${token}` : ""}${body}`);
    return answers[path]?.() ?? new Response("{}", { status: 404 });
  });
  return { api: new Api("", fetcher as typeof fetch), asked };
}

const json = (body: object, status = 200) => new Response(JSON.stringify(body), { status });

test("the token is renewed before it ends, once for all who ask", async () => {
  const { api, asked } = server({
    "/auth/anonymous": () => json(tokens("A"), 201),
    "/auth/refresh": () => json(tokens("B")),
    "/rooms": () => json({ rooms: [] }),
  });
  await api.enter({ nickname: "ada", birthYear: 1990, adult: true });
  await api.rooms();
  vi.advanceTimersByTime(841_000);
  await Promise.all([api.rooms(), api.rooms()]);
  expect(asked).toEqual([
    "POST /auth/anonymous",
    "GET /rooms Bearer A",
    "POST /auth/refresh",
    "GET /rooms Bearer B",
    "GET /rooms Bearer B",
  ]);
});

test("work that the server asks for is done, and the entry goes on", async () => {
  const riddle = { salt: "x&", maxnumber: 50, signature: "s", challenge: sha256("x&7") };
  const bodies: unknown[] = [];
  const fetcher = async (_: RequestInfo | URL, init?: RequestInit) => {
    bodies.push(JSON.parse(String(init?.body)));
    return bodies.length === 1
      ? json({ code: "proof_required", detail: "Prove it.", extra: { challenge: riddle } }, 403)
      : json(tokens("A"), 201);
  };
  const api = new Api("", fetcher as typeof fetch);
  const entry = { nickname: "ada", birthYear: 1990, adult: true };
  await api.enter(entry);
  const { salt, challenge, signature } = riddle;
  const proof = { salt, challenge, signature, number: 7 };
  expect(bodies).toEqual([
    { ...entry, cookie: true },
    { ...entry, cookie: true, proof },
  ]);
});

test("a session that is gone is no error: the user enters again", async () => {
  const { api } = server({ "/auth/refresh": () => json({ code: "unauthenticated" }, 401) });
  await expect(api.restore()).resolves.toBeNull();
  expect(api.user).toBeNull();
});

test("a refusal carries its code and its sentence", async () => {
  const { api } = server({
    "/auth/anonymous": () =>
      json({ code: "underage", title: "Forbidden", detail: "Parlor is for adults." }, 403),
  });
  await expect(api.enter({ nickname: "kid", birthYear: 2020, adult: true })).rejects.toMatchObject({
    code: "underage",
    message: "Parlor is for adults.",
  });
});

test("a ban is known by its reason and its end, until the server lets us in", async () => {
  let banned = true;
  const { api } = server({
    "/auth/refresh": () =>
      banned
        ? json(
            {
              code: "banned",
              detail: "Banned.",
              extra: { reason: "spam", until: "2026-02-01T00:00:00.000Z" },
            },
            403,
          )
        : json(tokens("A")),
  });
  await expect(api.restore()).resolves.toBeNull();
  expect(api.banned).toEqual({ reason: "spam", until: "2026-02-01T00:00:00.000Z" });
  banned = false;
  await api.restore();
  expect(api.banned).toBeNull();
  expect(api.user?.nickname).toBe("ada");
});

test("a part of the server that does not answer ends no session", async () => {
  const { api } = server({ "/auth/refresh": () => json({ code: "unavailable" }, 503) });
  await expect(api.restore()).rejects.toMatchObject({ code: "unavailable" });
});

test("blocks and reports, though an answer may have no body", async () => {
  const block = { userId: "bob", nickname: "bob", at: "2026-01-31T09:30:00.123Z" };
  const { api, asked } = server({
    "/auth/anonymous": () => json(tokens("A"), 201),
    "/users/me/blocks": () => json({ blocks: [block] }),
    "/users/bob/block": () => new Response(null, { status: 204 }),
    "/reports": () => json({ reportId: "r1" }, 201),
  });
  await api.enter({ nickname: "ada", birthYear: 1990, adult: true });
  await api.block("bob");
  expect(await api.blocks()).toEqual([block]);
  await api.unblock("bob");
  const report = { targetType: "user", targetId: "bob", roomId: "r", reason: "spam" } as const;
  expect(await api.report(report)).toBe("r1");
  expect(asked.slice(1)).toEqual([
    "PUT /users/bob/block Bearer A",
    "GET /users/me/blocks Bearer A",
    "DELETE /users/bob/block Bearer A",
    `POST /reports Bearer A ${JSON.stringify(report)}`,
  ]);
});

/** A server whose answers are given when the test says so. */
function slow() {
  const open: { path: string; body: unknown; answer: (body: object, status?: number) => void }[] = [];
  const fetcher = (input: RequestInfo | URL, init?: RequestInit) =>
    new Promise<Response>((resolve) => {
      const body = init?.body ? JSON.parse(String(init.body)) : null;
      const path = `${init?.method} ${String(input).replace("/api/v1", "")}`;
      open.push({ path, body, answer: (told, status) => resolve(json(told, status)) });
    });
  const keep = () => {
    const kept = new Map<string, string>();
    return {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, text: string) => void kept.set(key, text),
      removeItem: (key: string) => void kept.delete(key),
    };
  };
  const guests = new Guests(keep(), keep());
  const api = new Api("", fetcher as typeof fetch, guests);
  const asked = async (index: number) => {
    await vi.advanceTimersByTimeAsync(0);
    const it = open[index];
    if (!it) throw new Error(`no request ${index}`);
    return it;
  };
  return { api, guests, asked, paths: () => open.map(({ path }) => path) };
}

const as = (id: string, refreshToken: string | null = null) => ({
  ...tokens(`token of ${id}`),
  refreshToken,
  user: { id, nickname: id, role: "member" },
});

test("nothing is done in the name of somebody who came in in another tab", async () => {
  const { api, asked, paths } = slow();
  const entering = api.enter({ nickname: "ada", birthYear: 1990, adult: true });
  (await asked(0)).answer(as("ada"), 201);
  await entering;
  vi.advanceTimersByTime(841_000);
  const told: string[] = [];
  api.on("userChanged", ({ id }) => told.push(id));
  const blocking = api.block("bob").catch((error: unknown) => error);
  (await asked(1)).answer(as("eve"));
  expect(await blocking).toMatchObject({ code: "user_changed" });
  expect(paths()).toEqual(["POST /auth/anonymous", "POST /auth/refresh"]);
  expect(told).toEqual(["eve"]);
  expect(api.user).toBeNull();
});

test("a renewal under way brings nobody back who leaves, and what it brings is what is ended", async () => {
  const { api, guests, asked, paths } = slow();
  const entering = api.enterBeside({ nickname: "ada", birthYear: 1990, adult: true });
  (await asked(0)).answer(as("ada", "first"), 201);
  await entering;
  api.invalidate();
  void api.token();
  const renewal = await asked(1);
  const leaving = api.leave();
  await vi.advanceTimersByTimeAsync(0);
  expect(paths()).toHaveLength(2);
  renewal.answer(as("ada", "second"));
  const logout = await asked(2);
  expect(logout).toMatchObject({ path: "DELETE /auth/logout", body: { refreshToken: "second" } });
  logout.answer({});
  await leaving;
  expect(api.user).toBeNull();
  expect(guests.all).toEqual([]);
});

test("ways in wait for a renewal under way, so that its answer does not undo them", async () => {
  const { api, asked, paths } = slow();
  const restoring = api.restore();
  const renewal = await asked(0);
  const entering = api.signIn("/auth/login", { username: "bob", password: "secret" });
  await vi.advanceTimersByTimeAsync(0);
  expect(paths()).toEqual(["POST /auth/refresh"]);
  renewal.answer(as("ada"));
  (await asked(1)).answer(as("bob"));
  expect([(await restoring)?.id, (await entering).id, api.user?.id]).toEqual(["ada", "bob", "bob"]);
});

test("a guest's renewal stays the guest's, though the tab goes on as somebody else meanwhile", async () => {
  const { api, guests, asked } = slow();
  const entering = api.enter({ nickname: "main", birthYear: 1990, adult: true });
  (await asked(0)).answer(as("main"), 201);
  await entering;
  const beside = api.enterBeside({ nickname: "guest", birthYear: 1990, adult: true });
  (await asked(1)).answer(as("guest", "first"), 201);
  await beside;
  api.invalidate();
  const renewed = api.token();
  const renewal = await asked(2);
  guests.goOnAs(null);
  renewal.answer(as("guest", "second"));
  await renewed;
  expect(guests.main?.id).toBe("main");
  expect(guests.find("guest")?.refreshToken).toBe("second");
});
