import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Accounts, secondFactorOf } from "../src/accounts.js";
import { Api } from "../src/api.js";
import { Guests } from "../src/guests.js";
import { base64url, bytesOf } from "../src/passkeys.js";
import type { Keep } from "../src/shelf.js";
import { connect } from "./fake.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const tokens = (name: string, more: object = {}) => ({
  accessToken: name,
  expiresInS: 900,
  refreshToken: null,
  user: { id: name.toLowerCase(), nickname: name, role: "member" },
  ...more,
});
const json = (body: object, status = 200) => new Response(JSON.stringify(body), { status });
const nothing = () => new Response(null, { status: 204 });

function keep(): Keep & { kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return {
    kept,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

interface Asked {
  what: string;
  body: unknown;
  token: string | null;
  credentials: RequestCredentials | undefined;
}

/** A server of fixed answers; a list is answered one by one. */
function server(
  answers: Record<string, (() => Response) | (() => Response)[]>,
  device = keep(),
  tab = keep(),
) {
  const asked: Asked[] = [];
  const fetcher = async (input: RequestInfo | URL, init?: RequestInit) => {
    const what = `${init?.method} ${String(input).replace("/api/v1", "")}`;
    const body = init?.body ? JSON.parse(String(init.body)) : undefined;
    const token = new Headers(init?.headers).get("authorization");
    asked.push({ what, body, token, credentials: init?.credentials });
    const answer = answers[what];
    const next = Array.isArray(answer) ? answer.shift() : answer;
    return next?.() ?? json({ code: "not_found", detail: "Nothing." }, 404);
  };
  const guests = new Guests(device, tab);
  const api = new Api("", fetcher as typeof fetch, guests);
  return { api, asked, guests, device };
}

const ADA = { nickname: "ada", birthYear: 1990, adult: true };

async function accounts(answers: Parameters<typeof server>[0]) {
  const served = server(answers);
  const { socket, server: other } = await connect();
  return { ...served, accounts: new Accounts(served.api, socket), other };
}

test("a login that needs a second factor goes on with its ticket", async () => {
  const mfa = { ticket: "T", methods: ["totp", "recoveryCode"], expiresInS: 300 };
  const { accounts: mine, asked } = await accounts({
    "POST /auth/login": () => json({ code: "mfa_required", detail: "A second factor.", extra: mfa }, 403),
    "POST /auth/login/code": () => json(tokens("Ada")),
  });
  const error = await mine.logIn("Ada", "correct horse").catch((it: unknown) => it);
  expect(secondFactorOf(error)).toEqual(mfa);
  expect((await mine.logInByCode("T", "123456")).nickname).toBe("Ada");
  expect(asked.map(({ what, body }) => [what, body])).toEqual([
    ["POST /auth/login", { username: "Ada", password: "correct horse", cookie: true }],
    ["POST /auth/login/code", { ticket: "T", code: "123456", cookie: true }],
  ]);
});

test("mfa_required without a ticket is no login that goes on", async () => {
  const { accounts: mine } = await accounts({
    "POST /auth/login": () => json({ code: "mfa_required", detail: "First the second factor." }, 403),
  });
  expect(secondFactorOf(await mine.logIn("ada", "x").catch((it: unknown) => it))).toBeNull();
  expect(secondFactorOf(new TypeError("offline"))).toBeNull();
});

test("a guest who gets an account keeps the token, and is called by the new name", async () => {
  const user = { id: "ada", nickname: "lovelace", role: "member" };
  const {
    api,
    accounts: mine,
    asked,
  } = await accounts({
    "POST /auth/anonymous": () => json(tokens("Ada"), 201),
    "POST /auth/upgrade": () => json(user),
  });
  await api.enter(ADA);
  await mine.upgrade({ username: "lovelace", password: "correct horse" });
  expect(api.user).toEqual(user);
  expect(asked.at(-1)).toMatchObject({ what: "POST /auth/upgrade", token: "Bearer Ada" });
});

test("logins that ended because a token came twice are told once", async () => {
  const reusedLogins = [{ device: "Firefox on Linux", at: "2026-01-31T09:30:00.123Z" }];
  const { api, accounts: mine } = await accounts({
    "POST /auth/login": () => json(tokens("Ada", { reusedLogins })),
  });
  await mine.logIn("ada", "correct horse");
  expect(api.takeReused()).toEqual(reusedLogins);
  expect(api.takeReused()).toEqual([]);
});

test("a role that rested holds on the open socket once a second factor is shown", async () => {
  const {
    api,
    accounts: mine,
    other,
  } = await accounts({
    "POST /auth/login": () => json(tokens("Ada", { withheldRole: "moderator" })),
    "POST /auth/second-factor": nothing,
    "POST /auth/refresh": () => json(tokens("Ada")),
  });
  await mine.logIn("ada", "correct horse");
  expect(api.withheldRole).toBe("moderator");
  const before = other().of("authenticate").length;
  await mine.passSecondFactor("123456");
  await vi.advanceTimersByTimeAsync(0);
  expect(other().of("authenticate")).toHaveLength(before + 1);
});

test("one who has everything deleted has no login any more", async () => {
  const receipt = { receipt: { receiptId: "r" }, signed: "{}", signature: "00", publicKey: "00" };
  const {
    api,
    guests,
    accounts: mine,
    asked,
  } = await accounts({
    "POST /auth/login": () => json(tokens("Ada")),
    "DELETE /auth/me": () => json(receipt),
  });
  await mine.logIn("ada", "correct horse");
  expect(guests.main).toEqual({ id: "ada", nickname: "Ada" });
  expect(await mine.erase({ password: "correct horse" })).toEqual(receipt);
  expect(asked.at(-1)?.body).toEqual({ password: "correct horse" });
  expect(api.user).toBeNull();
  expect(guests.main).toBeNull();
});

test("leaving everywhere ends the others first, then this one", async () => {
  const { accounts: mine, asked } = await accounts({
    "POST /auth/login": () => json(tokens("Ada")),
    "DELETE /auth/sessions": nothing,
    "DELETE /auth/logout": nothing,
  });
  await mine.logIn("ada", "correct horse");
  await mine.leaveEverywhere();
  expect(asked.slice(1).map(({ what }) => what)).toEqual(["DELETE /auth/sessions", "DELETE /auth/logout"]);
});

test("a second guest goes on in this tab alone, by a token of their own", async () => {
  const device = keep();
  const answers = {
    "POST /auth/anonymous": [
      () => json(tokens("Ada"), 201),
      () => json(tokens("Bob", { refreshToken: "b1" }), 201),
    ],
    "POST /auth/refresh": [() => json(tokens("Bob", { refreshToken: "b2" })), () => json(tokens("Ada"))],
  };
  const tab = keep();
  const { api, guests, asked } = server(answers, device, tab);
  await api.enter(ADA);
  await api.enterBeside({ ...ADA, nickname: "bob" });
  expect(api.user?.nickname).toBe("Bob");
  expect(guests.main?.nickname).toBe("Ada");

  // The tab is loaded anew: it goes on as Bob, whose next token is kept.
  const again = server(answers, device, tab);
  expect((await again.api.restore())?.nickname).toBe("Bob");
  expect(again.asked[0]?.body).toEqual({ refreshToken: "b1" });
  expect(again.guests.current?.refreshToken).toBe("b2");

  // Another tab is still Ada.
  const other = server(answers, device, keep());
  expect((await other.api.restore())?.nickname).toBe("Ada");
  expect(other.asked[0]?.body).toBeUndefined();
  expect(asked.map(({ body }) => (body as { cookie: boolean }).cookie)).toEqual([true, false]);
});

test("a guest who leaves goes alone: the cookie stays with the other one", async () => {
  const { api, guests, asked } = server({
    "POST /auth/anonymous": [
      () => json(tokens("Ada"), 201),
      () => json(tokens("Bob", { refreshToken: "b1" }), 201),
    ],
    "DELETE /auth/logout": nothing,
  });
  await api.enter(ADA);
  await api.enterBeside({ ...ADA, nickname: "bob" });
  await api.leave();
  expect(asked.at(-1)).toMatchObject({ body: { refreshToken: "b1" }, credentials: "omit", token: null });
  expect(guests.all).toEqual([]);
  expect(guests.current).toBeNull();
  expect(guests.main?.nickname).toBe("Ada");
});

test("a guest beside the cookie's who gets an account moves into the cookie", async () => {
  const bob = { id: "bob", nickname: "Bob", role: "member" };
  const {
    api,
    guests,
    accounts: mine,
    asked,
  } = await accounts({
    "POST /auth/anonymous": [
      () => json(tokens("Ada"), 201),
      () => json(tokens("Bob", { refreshToken: "b1" }), 201),
    ],
    "POST /auth/upgrade": () => json(bob),
    "POST /auth/login": () => json(tokens("Bob")),
    "DELETE /auth/logout": nothing,
  });
  await api.enter(ADA);
  await api.enterBeside({ ...ADA, nickname: "bob" });
  await mine.upgrade({ username: "Bob", password: "correct horse" });
  expect(guests.all).toEqual([]);
  expect(guests.main?.id).toBe("bob");
  expect(api.user?.id).toBe("bob");
  expect(asked.at(-1)?.body).toEqual({ refreshToken: "b1" });
});

test("a guest whose login is over is forgotten, and why is known", async () => {
  const device = keep();
  const tab = keep();
  new Guests(device, tab).add({ id: "bob", nickname: "bob", role: "member" }, "old");
  const { api, guests } = server(
    { "POST /auth/refresh": () => json({ code: "token_reused", detail: "Twice." }, 401) },
    device,
    tab,
  );
  await expect(api.restore()).resolves.toBeNull();
  expect(api.endedBy).toBe("token_reused");
  expect(guests.all).toEqual([]);
});

test("bytes go to a browser and come back as the letters that the server reads", async () => {
  const bytes = Uint8Array.from([251, 255, 0, 1, 62]);
  expect(base64url(bytes.buffer)).toBe("-_8AAT4");
  expect(bytesOf("-_8AAT4")).toEqual(bytes);
});

test("a passkey is made of the server's question and sent as JSON", async () => {
  const create = vi.fn(async (_: { publicKey: PublicKeyCredentialCreationOptions }) => ({
    id: "AQ",
    rawId: Uint8Array.from([1]).buffer,
    type: "public-key",
    getClientExtensionResults: () => ({}),
    response: {
      clientDataJSON: Uint8Array.from([2]).buffer,
      attestationObject: Uint8Array.from([3]).buffer,
      getTransports: () => ["internal"],
    },
  }));
  vi.stubGlobal("navigator", { credentials: { create } });
  const publicKey = { challenge: "AAE", user: { id: "Ag", name: "ada" }, excludeCredentials: [{ id: "Aw" }] };
  const { accounts: mine, asked } = await accounts({
    "POST /auth/login": () => json(tokens("Ada")),
    "POST /auth/passkeys/options": () => json({ challengeId: "C", options: { publicKey } }),
    "POST /auth/passkeys": () => json({ passkeyId: "p", name: "Laptop" }, 201),
  });
  await mine.logIn("ada", "correct horse");
  await mine.addPasskey("correct horse", "Laptop");
  expect(create.mock.calls[0]?.[0].publicKey).toMatchObject({
    challenge: Uint8Array.from([0, 1]),
    user: { id: Uint8Array.from([2]), name: "ada" },
    excludeCredentials: [{ id: Uint8Array.from([3]) }],
  });
  expect(asked.at(-1)?.body).toEqual({
    challengeId: "C",
    name: "Laptop",
    credential: {
      id: "AQ",
      rawId: "AQ",
      type: "public-key",
      extensions: {},
      response: { clientDataJSON: "Ag", attestationObject: "Aw", transports: ["internal"] },
    },
  });
});

test("a passkey that somebody thinks better of is a refusal, not a broken network", async () => {
  const get = async () => Promise.reject(new DOMException("no", "NotAllowedError"));
  vi.stubGlobal("navigator", { credentials: { get } });
  const { accounts: mine } = await accounts({
    "POST /auth/login/passkey/options": () =>
      json({ challengeId: "C", options: { publicKey: { challenge: "AA" } } }),
  });
  await expect(mine.logInByPasskey()).rejects.toMatchObject({ code: "passkey_cancelled" });
});

test("a tab whose guest was ended in another one is nobody, not the cookie's login", async () => {
  const device = keep();
  const tab = keep();
  new Guests(device, tab).add({ id: "bob", nickname: "bob", role: "member" }, "b1");
  new Guests(device, keep()).remove("bob");
  const { api, asked } = server({ "POST /auth/refresh": () => json(tokens("Ada")) }, device, tab);
  await expect(api.restore()).resolves.toBeNull();
  expect(api.endedBy).toBe("token_invalid");
  expect(asked).toEqual([]);
  expect((await api.restore())?.nickname).toBe("Ada");
});
