import { createPublicKey, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Download, Locator, Page } from "@playwright/test";
import { expect, meet, test } from "../meeting.ts";
import type { Person } from "../person.ts";
import { administrator, ask, call } from "../rest.ts";
import type { Server } from "../server.ts";
import { totp } from "../totp.ts";

// A server of its own: one of these tests makes somebody its moderator.
test.use({ settings: { sampleEveryMs: 4_000 } });

const PASSWORD = "a walk in the rain";

function menu({ page }: Person): Locator {
  return page.getByTestId("account-menu").filter({ visible: true });
}

async function isIn(person: Person): Promise<void> {
  await expect(menu(person)).toHaveAccessibleName(`Account of ${person.name}`);
}

async function register(person: Person, url: string): Promise<void> {
  const { page } = person;
  await page.goto(url);
  await page.getByTestId("way-create").click();
  await person.types("new-username", person.name);
  await person.types("new-password", PASSWORD);
  await person.types("birth-year", "1990");
  await page.getByTestId("adult").check();
  await page.getByTestId("create-account").click();
  await isIn(person);
}

async function signOut(person: Person): Promise<void> {
  await menu(person).click();
  await person.page.getByTestId("sign-out").click();
  await expect(person.page.getByTestId("enter")).toBeVisible();
}

/** Name and password; what comes then depends on the account. */
async function signIn(person: Person, url: string, password = PASSWORD): Promise<void> {
  const { page } = person;
  await page.goto(url);
  await page.getByTestId("way-signIn").click();
  await person.types("username", person.name);
  await person.types("password", password);
  await page.getByTestId("sign-in").click();
}

async function settings({ page }: Person, { url }: Server, section: string): Promise<void> {
  await page.goto(`${url}/settings/${section}`);
  await expect(page.getByTestId(`section-${section}`)).toHaveAttribute("aria-current", "page");
}

/** Sets an authenticator app up; returns its secret and the recovery codes. */
async function setUpTotp(person: Person): Promise<{ secret: string; codes: string[] }> {
  const { page } = person;
  await page.getByTestId("totp-set-up").click();
  await person.types("confirm-password", PASSWORD);
  await page.getByTestId("confirm-submit").click();
  await expect(page.getByTestId("totp-qr")).toBeVisible();
  const secret = ((await page.getByTestId("totp-secret").textContent()) ?? "").replaceAll(/\s/g, "");
  await person.types("first-code", totp(secret));
  await page.getByTestId("totp-confirm").click();
  await expect(page.getByTestId("recovery-code")).toHaveCount(10);
  const codes = await page.getByTestId("recovery-code").allTextContents();
  await page.getByTestId("recovery-kept").click();
  await expect(page.getByTestId("recovery-left")).toHaveText("10 recovery codes are left.");
  return { secret, codes };
}

async function read(download: Download): Promise<string> {
  return readFile(await download.path(), "utf8");
}

for (const kind of ["chromium", "firefox"] as const) {
  test(`an account is made, left, and come back to, in ${kind}`, async ({ server, person }) => {
    const ada = await person(kind, `ada-${kind}`, { id: 1 });
    const { page } = ada;
    await page.goto(server.url);
    await page.getByTestId("way-create").click();
    await page.getByTestId("create-account").click();
    await expect(page.getByTestId("new-username"), "what is missing has the focus").toBeFocused();
    await register(ada, server.url);
    await menu(ada).click();
    await expect(page.getByTestId("trust")).toContainText("7 more days and 10 more messages");
    await page.getByTestId("status-busy").click();
    await page.reload();
    await isIn(ada);
    await settings(ada, server, "privacy");
    await expect(page.getByTestId("show-busy")).toBeChecked();
    await ada.types("presence-text", "Back after lunch");
    await page.getByTestId("presence-save").click();
    await page.getByTestId("from-nobody").click();
    await page.getByTestId("receipts-private").click();
    await expect(page.getByTestId("done").filter({ hasText: "Saved." })).toHaveCount(3);
    await page.reload();
    await expect(page.getByTestId("presence-text")).toHaveValue("Back after lunch");
    await expect(page.getByTestId("from-nobody")).toBeChecked();
    await expect(page.getByTestId("receipts-private")).toBeChecked();
    await signOut(ada);
    await signIn(ada, server.url, "something else");
    await expect(page.getByRole("alert")).toContainText("That is not right");
    ada.complaints.length = 0;
    // After a wrong password the server asks for some work, which nobody notices.
    await signIn(ada, server.url);
    await isIn(ada);
    ada.complaints.length = 0;
    await page.goto(`${server.url}/settings`);
    await expect(page.getByTestId("profile-name")).toHaveText(ada.name);
  });
}

test("a name that is taken, and a password that is weak, are refused in plain words", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "taken", { id: 1 });
  const eve = await person("chromium", "eve", { id: 2 });
  await register(ada, server.url);
  const { page } = eve;
  await page.goto(server.url);
  await page.getByTestId("way-create").click();
  await eve.types("new-username", "TAKEN");
  await eve.types("new-password", "short");
  await eve.types("birth-year", "1990");
  await page.getByTestId("adult").check();
  await page.getByTestId("create-account").click();
  await expect(page.getByTestId("new-password")).toHaveAccessibleDescription(
    "A password has 8 to 128 characters.",
  );
  await eve.types("new-password", "password123");
  await page.getByTestId("create-account").click();
  await expect(page.getByRole("alert")).toContainText("This password");
  await eve.types("new-password", PASSWORD);
  await page.getByTestId("create-account").click();
  await expect(page.getByRole("alert")).toContainText("This name is taken");
  eve.complaints.length = 0;
});

test("a login asks for a code of the app, or a recovery code, each once", async ({ server, person }) => {
  const ada = await person("chromium", "careful", { id: 1 });
  const { page } = ada;
  await register(ada, server.url);
  await settings(ada, server, "security");
  const { secret, codes } = await setUpTotp(ada);
  await expect(page.getByTestId("login").filter({ hasText: "with second factor" })).toHaveCount(1);
  await signOut(ada);

  await signIn(ada, server.url);
  await expect(page.getByTestId("second-step")).toBeVisible();
  await ada.isAccessible("the second step");
  await ada.types("second-code", "000000");
  await page.getByTestId("second-submit").click();
  await expect(page.getByRole("alert")).toContainText("That is not right");
  // The step of now was used to set it up; the server takes the next one as well.
  await ada.types("second-code", totp(secret, 1));
  await page.getByTestId("second-submit").click();
  await isIn(ada);
  await signOut(ada);

  for (const [code, fits] of [
    [codes[0], true],
    [codes[0], false],
  ] as const) {
    await signIn(ada, server.url);
    await page.getByTestId("second-other").click();
    await ada.types("second-code", code ?? "");
    await page.getByTestId("second-submit").click();
    if (fits) {
      await isIn(ada);
      await settings(ada, server, "security");
      await expect(page.getByTestId("recovery-left")).toHaveText("9 recovery codes are left.");
      await signOut(ada);
    } else await expect(page.getByRole("alert")).toContainText("That is not right");
  }
  ada.complaints.length = 0;
});

/** A security key that says yes to everything, as Chromium's own tools make one. */
async function withAuthenticator(page: Page): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
}

test("a passkey opens the door alone, and after the password", async ({ server, person }) => {
  const ada = await person("chromium", "keyed", { id: 1 });
  const { page } = ada;
  await withAuthenticator(page);
  await register(ada, server.url);
  await settings(ada, server, "security");
  await page.getByTestId("passkey-add").click();
  await ada.types("confirm-name", "My laptop");
  await ada.types("confirm-password", PASSWORD);
  await page.getByTestId("confirm-submit").click();
  // The first second factor comes with recovery codes.
  await expect(page.getByTestId("recovery-code")).toHaveCount(10);
  await page.getByTestId("recovery-kept").click();
  await expect(page.getByTestId("passkey")).toContainText("My laptop");
  await ada.isAccessible("a passkey");
  await signOut(ada);

  await page.getByTestId("way-signIn").click();
  await page.getByTestId("sign-in-passkey").click();
  await isIn(ada);
  await signOut(ada);

  await signIn(ada, server.url);
  await expect(page.getByTestId("second-step")).toBeVisible();
  await page.getByTestId("second-passkey").click();
  await isIn(ada);

  await settings(ada, server, "security");
  await page.getByTestId("passkey-remove").click();
  await ada.types("confirm-password", PASSWORD);
  await page.getByTestId("confirm-submit").click();
  await expect(page.getByTestId("passkey")).toHaveCount(0);
  ada.complaints.length = 0;
});

test("a guest gets an account in the middle of a call, and loses nothing", async ({ server, person }) => {
  const ada = await person("chromium", "upgraded", { id: 1 });
  const bob = await person("firefox", "bob", { id: 2 });
  const link = await meet(server, [ada, bob]);
  await ada.openChat();
  await bob.openChat();
  await ada.says("before");
  await bob.reads(["before"]);
  const { user } = await ada.session();

  await menu(ada).click();
  await ada.page.getByTestId("upgrade").click();
  await ada.types("new-password", PASSWORD);
  await ada.isAccessible("the upgrade");
  await ada.page.getByTestId("upgrade-submit").click();
  await expect(ada.page.getByTestId("upgraded")).toContainText(ada.name);
  await ada.page.getByTestId("upgrade-done").click();
  await ada.connected();
  await ada.sees("bob", 2);
  await ada.says("after");
  await bob.reads(["before", "after"]);
  expect((await ada.session()).user.id).toBe(user.id);

  // From another browser it is the same person, with the same room.
  const again = await person("chromium", "upgraded", { id: 3 });
  await signIn(again, link);
  await again.page.getByTestId("join").click();
  await again.openChat();
  await again.reads(["before", "after"]);
  expect((await again.session()).user.id).toBe(user.id);
});

test("a device that one does not know is signed out at once, and told why", async ({ server, person }) => {
  const ada = await person("chromium", "watchful", { id: 1 });
  const other = await person("firefox", "watchful", { id: 2 });
  await register(ada, server.url);
  await signIn(other, server.url);
  await isIn(other);
  await settings(ada, server, "security");
  const logins = ada.page.getByTestId("login");
  await expect(logins).toHaveCount(2);
  await expect(logins.filter({ hasText: "This device" })).toContainText("Linux");
  await logins.filter({ hasText: "Firefox on Linux" }).getByTestId("login-end").click();
  await expect(ada.page.getByTestId("logins").getByTestId("done")).toHaveText(
    "Signed out: Firefox on Linux.",
  );
  await expect(logins).toHaveCount(1);
  await expect(other.page.getByTestId("signed-out")).toContainText("You were signed out");
  await other.isAccessible("the door, signed out");
  // It asked for its login once more, which the browser notes.
  other.complaints.length = 0;
});

test("a login whose token came twice is over, and the others hear of it", async ({ server, person }) => {
  const ada = await person("chromium", "robbed", { id: 1 });
  const other = await person("chromium", "robbed", { id: 2 });
  await register(ada, server.url);
  await signIn(other, server.url);
  await isIn(other);
  const cookies = await other.page.context().cookies(`${server.url}/api`);
  const refreshToken = cookies.find(({ name }) => name === "parlor_refresh")?.value;
  await ask(server, null, "POST", "/auth/refresh", { refreshToken });
  await ask(server, null, "POST", "/auth/refresh", { refreshToken }).catch(() => undefined);
  await expect(ada.page.getByTestId("login-reused")).toContainText("Chrome on Linux");
  await ada.isAccessible("a page with a warning");
  await ada.page.getByTestId("reused-understood").click();
  await expect(ada.page.getByTestId("login-reused")).toHaveCount(0);
  await expect(other.page.getByTestId("signed-out")).toBeVisible();
  other.complaints.length = 0;
});

test("whoever is in hears that somebody guesses at their codes, and so does who comes in next", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "guessed", { id: 1 });
  const { page } = ada;
  await register(ada, server.url);
  await settings(ada, server, "security");
  const { codes } = await setUpTotp(ada);
  const guess = async () => {
    type Refused = { extra: { ticket: string } };
    const password = { username: ada.name, password: PASSWORD };
    const { body } = await call<Refused>(server, null, "POST", "/auth/login", password);
    const wrong = { ticket: body.extra.ticket, code: "wrongwrongwrong1" };
    expect((await call(server, null, "POST", "/auth/login/code", wrong)).status).toBe(401);
  };
  for (let times = 0; times < 3; times++) await guess();
  await expect(page.getByTestId("wrong-codes")).toContainText("3");
  await ada.isAccessible("a page that warns of guesses");
  await page.getByTestId("wrong-codes-understood").click();
  await expect(page.getByTestId("wrong-codes")).toHaveCount(0);
  await signOut(ada);
  for (let times = 0; times < 3; times++) await guess();
  await signIn(ada, server.url);
  await page.getByTestId("second-other").click();
  await ada.types("second-code", codes[0] ?? "");
  await page.getByTestId("second-submit").click();
  await isIn(ada);
  await expect(page.getByTestId("wrong-codes")).toBeVisible();
  // Whoever comes in next on this page is told nothing of it.
  await signOut(ada);
  await page.getByTestId("way-guest").click();
  await ada.types("nickname", "next-guest");
  await ada.types("birth-year", "1990");
  await page.getByTestId("adult").check();
  await page.getByTestId("enter").click();
  await expect(page.getByTestId("create-room")).toBeVisible();
  await expect(page.getByTestId("wrong-codes")).toHaveCount(0);
  ada.complaints.length = 0;
});

test("one takes everything along, deletes it, and keeps the receipt", async ({ server, person }) => {
  const ada = await person("chromium", "leaving", { id: 1 });
  const { page } = ada;
  await register(ada, server.url);
  await settings(ada, server, "data");
  const [taken] = await Promise.all([page.waitForEvent("download"), page.getByTestId("export").click()]);
  expect(JSON.parse(await read(taken)).account).toMatchObject({ username: "leaving" });

  await page.getByTestId("erase").click();
  await page.getByTestId("erase-confirm").click();
  await expect(page.getByTestId("erase-name")).toBeFocused();
  await ada.types("erase-name", "leaving");
  await ada.types("erase-password", PASSWORD);
  await ada.isAccessible("the last question");
  await page.getByTestId("erase-confirm").click();
  await expect(page.getByTestId("receipt")).toContainText("Everything is deleted");
  await ada.isAccessible("the receipt");
  const [kept] = await Promise.all([
    page.waitForEvent("download"),
    page.getByTestId("receipt-download").click(),
  ]);
  const { signed, signature, publicKey, receipt } = JSON.parse(await read(kept));
  expect(JSON.parse(signed)).toEqual(receipt);
  const x = Buffer.from(publicKey, "hex").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  expect(verify(null, Buffer.from(signed), key, Buffer.from(signature, "hex"))).toBe(true);

  await page.getByTestId("receipt-done").click();
  await signIn(ada, server.url);
  await expect(page.getByRole("alert")).toContainText("That is not right");
  ada.complaints.length = 0;
});

test("one device keeps several guests, each in a tab of their own", async ({ server, person }) => {
  const ada = await person("chromium", "first", { id: 1 });
  const { page } = ada;
  await ada.enter(server.url);
  await settings(ada, server, "guests");
  await expect(page.getByTestId("identity")).toHaveCount(1);
  await page.getByTestId("identity-add").click();
  await ada.types("nickname", "second");
  await ada.types("birth-year", "1990");
  await page.getByTestId("adult").check();
  await ada.isAccessible("a new guest");
  await page.getByTestId("enter").click();
  await expect(menu(ada)).toHaveAccessibleName("Account of second");
  await page.reload();
  await expect(menu(ada)).toHaveAccessibleName("Account of second");

  const tab = await page.context().newPage();
  await tab.goto(`${server.url}/settings/guests`);
  const here = tab.locator("[data-testid=identity][data-here=true]");
  await expect(here).toHaveAttribute("data-nickname", "first");
  await tab.getByTestId("identity-end").click();
  await tab.getByTestId("identity-end-confirm").click();
  await expect(tab.getByTestId("identity")).toHaveCount(1);
  // The first tab's guest is over, and the browser still keeps the other one.
  await expect(page.getByTestId("signed-out")).toBeVisible();
  await page.getByTestId("go-on-as").click();
  await expect(menu(ada)).toHaveAccessibleName("Account of first");
  ada.complaints.length = 0;
});

test("a moderator without a second factor is led to one", async ({ server, person }) => {
  const mod = await person("chromium", "moderating", { id: 1 });
  const { page } = mod;
  await register(mod, server.url);
  const { user } = await mod.session();
  await ask(server, await administrator(server), "PUT", `/users/${user.id}/role`, { role: "moderator" });
  await page.reload();
  await expect(page.getByTestId("withheld")).toContainText("Until you have set one up");
  await mod.isAccessible("a page that asks for a second factor");
  await page.getByTestId("withheld-set-up").click();
  const { codes } = await setUpTotp(mod);
  await expect(page.getByTestId("withheld")).toHaveCount(0);
  await page.goto(`${server.url}/review`);
  await expect(page.getByTestId("open-count")).toBeVisible();
  await signOutByReload(mod, server);
  await signIn(mod, server.url);
  await page.getByTestId("second-other").click();
  await mod.types("second-code", codes[1] ?? "");
  await page.getByTestId("second-submit").click();
  await isIn(mod);
  await expect(page.getByTestId("withheld")).toHaveCount(0);
  mod.complaints.length = 0;
});

async function signOutByReload(person: Person, server: Server): Promise<void> {
  await person.page.goto(server.url);
  await signOut(person);
}

test("the door opens by keyboard alone", async ({ server, person }) => {
  const ada = await person("chromium", "typist", { id: 1 });
  const { page } = ada;
  await page.goto(server.url);
  await page.getByTestId("way-guest").focus();
  for (const way of ["signIn", "create"]) {
    await page.keyboard.press("ArrowRight");
    await expect(page.getByTestId(`way-${way}`)).toBeFocused();
  }
  for (const [field, text] of [
    ["new-username", "typist"],
    ["new-password", PASSWORD],
    ["birth-year", "1990"],
  ] as const) {
    for (let tabs = 0; tabs < 5; tabs += 1) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(() => document.activeElement?.getAttribute("data-testid"));
      if (focused === field) break;
    }
    await expect(page.getByTestId(field)).toBeFocused();
    await page.keyboard.type(text);
  }
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  await isIn(ada);
  await menu(ada).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("sign-out")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(menu(ada)).toBeFocused();
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing in the settings, ${colorScheme}, and nothing is too wide`, async ({
    server,
    person,
  }) => {
    const ada = await person("chromium", `axe-${colorScheme}`, {
      id: 1,
      colorScheme,
      viewport: { width: 360, height: 740 },
    });
    const { page } = ada;
    await page.goto(server.url);
    for (const way of ["signIn", "create"]) {
      await page.getByTestId(`way-${way}`).click();
      await ada.isAccessible(`the door: ${way}`);
      await ada.fits(`the door: ${way}`);
    }
    await register(ada, server.url);
    await menu(ada).click();
    await ada.isAccessible("the account menu");
    await page.keyboard.press("Escape");
    for (const section of ["profile", "privacy", "security", "data", "guests"]) {
      await settings(ada, server, section);
      await isIn(ada);
      await ada.isAccessible(section);
      await ada.fits(section);
    }
  });
}
