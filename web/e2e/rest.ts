import { expect } from "./browsers.ts";
import type { Person } from "./person.ts";
import type { Server } from "./server.ts";

/** Somebody's login, as the server gives it. */
export interface Login {
  accessToken: string;
  user: { id: string; nickname: string; role: string };
}

/** A refusal or an answer: what the server said. */
export interface Answer<T> {
  status: number;
  body: T;
}

/** A REST call, as a program makes it. Refusals are answers too. */
export async function call<T = Record<string, unknown>>(
  server: Server,
  login: Login | null,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer<T>> {
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: {
      ...(login ? { authorization: `Bearer ${login.accessToken}` } : {}),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text ? JSON.parse(text) : {}) as T };
}

/** The same for calls that must succeed. */
export async function ask<T = Record<string, unknown>>(
  server: Server,
  login: Login | null,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const answer = await call<T>(server, login, method, path, body);
  if (answer.status >= 300)
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Somebody without a browser. */
export function guest(server: Server, nickname: string): Promise<Login> {
  return ask(server, null, "POST", "/auth/anonymous", { nickname, birthYear: 1990, adult: true });
}

const administrators = new WeakMap<Server, Promise<Login>>();

/** The server's administrator, by the link that it printed. The link works once, so there is one for all tests of a server. */
export function administrator(server: Server): Promise<Login> {
  const known = administrators.get(server) ?? becomeAdministrator(server);
  administrators.set(server, known);
  return known;
}

async function becomeAdministrator(server: Server): Promise<Login> {
  const login = await guest(server, "root");
  const secret = new URL(server.adminLink()).pathname.replace("/claim/", "");
  await ask(server, login, "POST", "/auth/claim", { secret });
  return login;
}

/** Somebody who is inside becomes one of the site's moderators, and opens the review desk. */
export async function openDesk(server: Server, person: Person): Promise<Login> {
  const { user } = await person.session();
  await ask(server, await administrator(server), "PUT", `/users/${user.id}/role`, { role: "moderator" });
  await person.page.goto(`${server.url}/review`);
  await expect(person.page.getByTestId("open-count")).toBeVisible();
  return person.session();
}
