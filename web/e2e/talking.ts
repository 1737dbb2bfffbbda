import { expect } from "./browsers.ts";
import type { Person } from "./person.ts";
import { ask, type Login } from "./rest.ts";
import type { Server } from "./server.ts";

/** Somebody's browser becomes that of an account, as after a login. */
export async function register(person: Person, url: string): Promise<Login> {
  await person.page.goto(url);
  await person.page.evaluate(async (username) => {
    const body = JSON.stringify({
      username,
      password: "a long enough passphrase",
      birthYear: 1990,
      adult: true,
      cookie: true,
    });
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/api/v1/auth/register", { method: "POST", headers, body });
    if (!answer.ok) throw new Error(await answer.text());
    localStorage.setItem("parlor.entered", "1");
  }, person.name);
  const login = await person.session();
  await person.page.reload();
  await expect(person.page.getByTestId("enter")).toBeHidden();
  return login;
}

/** A group that anybody finds; its maker owns it, the others belong to it. */
export async function group(server: Server, owner: Login, others: Login[], name: string): Promise<string> {
  const room = await ask<{ id: string }>(server, owner, "POST", "/rooms", {
    kind: "group",
    name,
    visibility: "public",
    maxParticipants: 50,
  });
  for (const other of others) await ask(server, other, "POST", `/rooms/${room.id}/join`, {});
  return room.id;
}

/** Opens a room to write in. */
export async function openRoom(person: Person, url: string, roomId: string): Promise<void> {
  await person.page.goto(`${url}/r/${roomId}`);
  await expect(person.page.getByTestId("message-text")).toBeVisible();
}

/** The message that says this. */
export function message(person: Person, text: string) {
  const { page } = person;
  return page
    .getByTestId("message")
    .filter({ has: page.getByTestId("text").filter({ hasText: text }) })
    .last();
}

/** Points at a message and takes one of its buttons. */
export async function take(person: Person, text: string, button: string): Promise<void> {
  await message(person, text).hover();
  await message(person, text).getByTestId(button).click();
}

/** Opens the menu of a message and takes one of its items. */
export async function choose(person: Person, text: string, item: string): Promise<void> {
  await take(person, text, "message-menu");
  await person.page.getByTestId(item).click();
}
