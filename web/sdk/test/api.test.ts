import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Api } from "../src/api.js";
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
