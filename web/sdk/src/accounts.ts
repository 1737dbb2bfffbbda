import type { Api, Entry } from "./api.js";
import { ParlorError } from "./errors.js";
import { type Asked, createPasskey, showPasskey } from "./passkeys.js";
import type { Shown, SiteRole, Status, Trust, User } from "./proto.js";
import type { Socket } from "./socket.js";

/** A name, a password, and where letters go. */
export interface NewAccount {
  /** 2–50 characters of `a-z A-Z 0-9 _ -`. */
  username: string;
  /** 8–128 characters. */
  password: string;
  email?: string;
}

export type Registration = NewAccount & Pick<Entry, "birthYear" | "adult">;

/** By what an account's login goes on after the password. */
export type SecondFactor = "totp" | "recoveryCode" | "passkey";

/** The password was right; the ticket goes on from there, once and soon. */
export interface MfaWanted {
  ticket: string;
  methods: SecondFactor[];
  expiresInS: number;
}

/** By what somebody's age is known. */
export type AgeLevel = "none" | "selfDeclared" | "verified";

export interface Account {
  /** The name to log in with. */
  username: string;
  email: string | null;
  /** Codes of an app are asked for. */
  totp: boolean;
  recoveryCodesLeft: number;
  passkeys: number;
}

/** You, as only you see it. */
export type Me = User & {
  /** The role on the site that rests until this login has passed a second factor. */
  withheldRole?: SiteRole;
  ageLevel: AgeLevel;
  /** Null: you are a guest. */
  account: Account | null;
};

/** One of your logins. */
export interface Login {
  sessionId: string;
  /** In words: "Firefox on Linux". */
  device: string | null;
  createdAt: string;
  lastUsedAt: string;
  secondFactor: boolean;
  /** The one of this page. */
  current: boolean;
}

export interface Passkey {
  passkeyId: string;
  name: string;
  createdAt: string;
  lastUsedAt: string | null;
}

/** What an app needs to make codes: to be typed, and to be shown as a QR code. */
export interface TotpWanted {
  secret: string;
  url: string;
}

/** What was deleted, and what is kept for how long. */
export interface Receipt {
  receiptId: string;
  userId: string;
  deletedAt: string;
  deleted: {
    account: boolean;
    messages: number;
    files: number;
    sessions: number;
    passkeys: number;
    blocks: number;
    streamKeys: number;
    memberships: number;
    roomsPassedOn: number;
    roomsArchived: number;
  };
  kept: {
    evidence: number;
    evidenceUntil: string | null;
    endedLogins: number;
    endedLoginsUntil: string | null;
    /** Where the id stays, without a name, as `table.column`. */
    idIn?: string[];
  };
}

/** A receipt that anybody can verify: Ed25519 over the bytes of `signed`. */
export interface SignedReceipt {
  receipt: Receipt;
  signed: string;
  signature: string;
  publicKey: string;
}

/** What somebody has earned, and what is missing for more. */
export interface Earned {
  level: Trust;
  ageDays: number;
  messages: number;
  /** Null at the highest level. */
  next: { level: Trust; days: number; messages: number; cleanAt: string | null } | null;
}

/** As what you want to be seen. `online` leaves it to your devices. */
export interface Wish {
  status: Status;
  /** Up to 100 characters. */
  text?: string | null;
  textUntil?: string | null;
}

export type PresenceOfMe = Shown & { wish?: Wish };

/** What `mfa_required` asks for at a login; null for any other error, and where there is no ticket. */
export function secondFactorOf(error: unknown): MfaWanted | null {
  if (!(error instanceof ParlorError) || error.code !== "mfa_required") return null;
  const { ticket, methods, expiresInS } = error.detail;
  if (typeof ticket !== "string" || !Array.isArray(methods)) return null;
  return { ticket, methods: methods as SecondFactor[], expiresInS: Number(expiresInS) };
}

/** Accounts, and all that is one's own. Every call throws `ParlorError` when the server refuses. */
export class Accounts {
  readonly #api: Api;
  readonly #socket: Socket;

  constructor(api: Api, socket: Socket) {
    this.#api = api;
    this.#socket = socket;
  }

  /** Makes an account and comes in with it. */
  register(wanted: Registration): Promise<User> {
    return this.#api.signIn("/auth/register", wanted);
  }

  /** Comes in with an account. `secondFactorOf` the error says how to go on where the password alone is not enough. */
  logIn(username: string, password: string): Promise<User> {
    return this.#api.signIn("/auth/login", { username, password });
  }

  /** Goes on with a login by a code: of an app, or for recovery. */
  logInByCode(ticket: string, code: string): Promise<User> {
    return this.#api.signIn("/auth/login/code", { ticket, code });
  }

  /** Goes on with a login by a passkey; without a ticket, comes in by the passkey alone. A ticket is used up by this. */
  async logInByPasskey(ticket?: string): Promise<User> {
    const asked = await this.#api.request<Asked>(
      "POST",
      "/auth/login/passkey/options",
      ticket ? { ticket } : {},
    );
    const credential = await showPasskey(asked);
    return this.#api.signIn("/auth/login/passkey", { challengeId: asked.challengeId, credential });
  }

  /** Gives an account to whom we are: id, rooms and messages stay. */
  async upgrade(wanted: NewAccount): Promise<User> {
    const user = await this.#api.request<User>("POST", "/auth/upgrade", wanted);
    this.#api.setUser(user);
    if (!this.#api.isBeside) return user;
    // An account's token is not for a page to keep: into the cookie with a login of its own, and the other one ends.
    const again = await this.logIn(wanted.username, wanted.password);
    await this.#api.endGuest(user.id);
    return again;
  }

  /** All other logins end. */
  changePassword(password: string, newPassword: string): Promise<void> {
    return this.#api.request("PUT", "/auth/password", { password, newPassword });
  }

  me(): Promise<Me> {
    return this.#api.request<Me>("GET", "/auth/me");
  }

  /** What an app needs to make codes. Nothing holds before `confirmTotp`. */
  wantTotp(password: string): Promise<TotpWanted> {
    return this.#api.request<TotpWanted>("POST", "/auth/totp", { password });
  }

  /** Shows the first code; from now on a login asks for one. The recovery codes are told here and never again. */
  async confirmTotp(code: string): Promise<string[]> {
    const path = "/auth/totp/confirm";
    const { recoveryCodes } = await this.#api.request<{ recoveryCodes: string[] }>("POST", path, { code });
    this.#strengthened();
    return recoveryCodes;
  }

  endTotp(password: string): Promise<void> {
    return this.#api.request("DELETE", "/auth/totp", { password });
  }

  /** Shows a second factor for the login that we have: a role that rested holds from now on. */
  async passSecondFactor(code: string): Promise<void> {
    await this.#api.request("POST", "/auth/second-factor", { code });
    this.#strengthened();
  }

  async passkeys(): Promise<Passkey[]> {
    return (await this.#api.request<{ passkeys: Passkey[] }>("GET", "/auth/passkeys")).passkeys;
  }

  /** Has the browser make a passkey, and keeps it under that name. The first second factor comes with recovery codes, told this once. */
  async addPasskey(password: string, name: string): Promise<Passkey & { recoveryCodes?: string[] }> {
    const asked = await this.#api.request<Asked>("POST", "/auth/passkeys/options", { password });
    const credential = await createPasskey(asked);
    const body = { challengeId: asked.challengeId, name, credential };
    const passkey = await this.#api.request<Passkey & { recoveryCodes?: string[] }>(
      "POST",
      "/auth/passkeys",
      body,
    );
    this.#strengthened();
    return passkey;
  }

  removePasskey(passkeyId: string, password: string): Promise<void> {
    return this.#api.request("DELETE", `/auth/passkeys/${encodeURIComponent(passkeyId)}`, { password });
  }

  /** Our logins, the latest first. */
  async logins(): Promise<Login[]> {
    return (await this.#api.request<{ sessions: Login[] }>("GET", "/auth/sessions")).sessions;
  }

  /** Ends one of them; what it opened closes at once. */
  endLogin(sessionId: string): Promise<void> {
    return this.#api.request("DELETE", `/auth/sessions/${encodeURIComponent(sessionId)}`);
  }

  endOtherLogins(): Promise<void> {
    return this.#api.request("DELETE", "/auth/sessions");
  }

  /** Ends all logins, this one too. */
  async leaveEverywhere(): Promise<void> {
    await this.endOtherLogins();
    await this.#api.leave();
  }

  /** All that the server has of us, as one JSON document. */
  takeAlong(): Promise<Blob> {
    return this.#api.file("/auth/me/export");
  }

  /** Has everything of ours deleted; an account shows its password or a code once more. */
  async erase(again: { password?: string; code?: string } = {}): Promise<SignedReceipt> {
    const receipt = await this.#api.request<SignedReceipt>("DELETE", "/auth/me", again);
    this.#api.forget();
    return receipt;
  }

  /** What we have earned. */
  trust(): Promise<Earned> {
    return this.#api.request<Earned>("GET", "/users/me/trust");
  }

  presence(): Promise<PresenceOfMe> {
    return this.#api.request<PresenceOfMe>("GET", this.#ownPresence());
  }

  /** Chooses as what we are seen, on all our devices. */
  showAs(wish: Wish): Promise<PresenceOfMe> {
    return this.#api.request<PresenceOfMe>("PUT", this.#ownPresence(), wish);
  }

  /** Whether others are not told what we have read. */
  async areReceiptsPrivate(): Promise<boolean> {
    return (await this.#api.request<{ private: boolean }>("GET", "/users/me/receipts")).private;
  }

  keepReceiptsPrivate(isPrivate: boolean): Promise<void> {
    return this.#api.request("PUT", "/users/me/receipts", { private: isPrivate });
  }

  #ownPresence(): string {
    return `/users/${encodeURIComponent(this.#api.user?.id ?? "me")}/presence`;
  }

  /** The login has passed a second factor: its next token says so, and the open socket is told. */
  #strengthened(): void {
    if (this.#api.withheldRole === null) return;
    this.#api.invalidate();
    this.#socket.renewLogin();
  }
}
