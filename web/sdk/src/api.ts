import { Emitter } from "./emitter.js";
import { ParlorError } from "./errors.js";
import type { Guests } from "./guests.js";
import type { Message, Room, SiteRole, User } from "./proto.js";
import { type Riddle, solve } from "./riddle.js";

export interface Entry {
  nickname: string;
  birthYear: number;
  /** The user attests to be 18 or older. */
  adult: boolean;
}

export interface NewRoom {
  kind: "call" | "live" | "group";
  name: string;
  visibility: "public" | "unlisted" | "private";
}

/** A room as a list shows it. */
export type ListedRoom = Room & {
  /** How many are inside now. */
  online: number;
};

/** Why, and for how long, somebody may not come in. */
export interface Banned {
  reason: string;
  /** RFC 3339; null: for good. */
  until: string | null;
}

/** Somebody whom one does not want to meet again. */
export interface Block {
  userId: string;
  nickname: string;
  at: string;
}

export const REPORT_REASONS = [
  "harassment",
  "hateSpeech",
  "nudity",
  "inappropriateContent",
  "spam",
  "threats",
  "underage",
  "csam",
  "impersonation",
  "selfHarm",
  "other",
] as const;
export type ReportReason = (typeof REPORT_REASONS)[number];

export interface NewReport {
  targetType: "user" | "message";
  targetId: string;
  /** Where it happened; a message needs it. */
  roomId?: string;
  reason: ReportReason;
  /** Up to 500 characters. */
  description?: string;
}

/** A login that ended because a token of it came twice: somebody else may have had it. */
export interface ReusedLogin {
  /** What its device said of itself, in words; null: nothing. */
  device: string | null;
  at: string;
}

interface Tokens {
  accessToken: string;
  expiresInS: number;
  user: User;
  /** Null when it is in the cookie. */
  refreshToken: string | null;
  withheldRole?: SiteRole;
  reusedLogins?: ReusedLogin[];
  wrongCodes?: { count: number; lastAt: string };
}

/** An access token is renewed this long before it ends, so that no request is sent with one that expires on the way. */
const RENEW_BEFORE_MS = 60_000;
/** Refusals that say nothing about the session: asking again later may well do. */
const KEEPING: readonly string[] = [
  "rate_limited",
  "internal",
  "unavailable",
  "node_unavailable",
  "user_changed",
];
/** What changes the cookie is done one at a time over all tabs, under this Web Lock. */
const LOCK = "parlor-refresh";

export interface ApiEvents {
  /** The cookie is somebody else's by now: another tab has come in as them. Nothing is done in their name; load the page anew. */
  userChanged: User;
}

/**
 * The REST calls. The access token lives in memory only; the refresh token is an HttpOnly cookie that no script sees.
 * Every call throws `ParlorError` when the server refuses, and `TypeError` when it cannot be reached.
 */
export class Api extends Emitter<ApiEvents> {
  readonly #base: string;
  readonly #fetch: typeof fetch;
  #tokens: Tokens | null = null;
  #renewAt = 0;
  #refreshing: Promise<User | null> | null = null;
  #banned: Banned | null = null;
  #reused: ReusedLogin[] = [];
  #wrongCodes = 0;
  #endedBy: string | null = null;
  readonly #guests: Guests | null;
  /** Goes up whenever somebody comes in or goes: what was asked for before that is not kept. */
  #turn = 0;
  /** Where there are no Web Locks, the last of what changes the cookie; it never fails. */
  #last: Promise<unknown> = Promise.resolve();

  /** `base` is the server's origin, `""` for the page's own; `guests` keeps those that this device has beside the cookie's. */
  constructor(
    base = "",
    fetcher: typeof fetch = (input, init) => globalThis.fetch(input, init),
    guests: Guests | null = null,
  ) {
    super();
    this.#base = base;
    this.#fetch = fetcher;
    this.#guests = guests;
  }

  get user(): User | null {
    return this.#tokens?.user ?? null;
  }

  /** The server says that we are something else on the site now; the access token stays. */
  setSiteRole(role: SiteRole): void {
    if (this.#tokens) this.#tokens = { ...this.#tokens, user: { ...this.#tokens.user, role } };
  }

  /** The role on the site that rests until this login has passed a second factor. */
  get withheldRole(): SiteRole | null {
    return this.#tokens?.withheldRole ?? null;
  }

  /** This tab goes on as a guest beside the cookie's login. */
  get isBeside(): boolean {
    return Boolean(this.#guests?.current);
  }

  /** Why the server gave up our login, as a code; null while it holds, or when there was none. */
  get endedBy(): string | null {
    return this.#endedBy;
  }

  /** Logins of ours that ended because a token came twice. They are told once, so they are taken once. */
  takeReused(): ReusedLogin[] {
    const reused = this.#reused;
    this.#reused = [];
    return reused;
  }

  /** How many wrong codes somebody has tried since the login before; told once. */
  takeWrongCodes(): number {
    const count = this.#wrongCodes;
    this.#wrongCodes = 0;
    return count;
  }

  /** We are called otherwise, or are something else, from now on; the access token stays. */
  setUser(user: User): void {
    if (this.#tokens) this.#tokens = { ...this.#tokens, user };
  }

  /** The ban that the server last refused us for; null once it lets us in. */
  get banned(): Banned | null {
    return this.#banned;
  }

  /** Enters as an anonymous user. Throws `underage` for someone under 18. */
  async enter(entry: Entry): Promise<User> {
    return this.signIn("/auth/anonymous", { ...entry });
  }

  /** Enters as one more guest of this device; the login in the cookie stays for the other tabs. */
  async enterBeside(entry: Entry): Promise<User> {
    return this.#proven("/auth/anonymous", { ...entry, cookie: false }, (tokens) => {
      this.#guests?.add(tokens.user, tokens.refreshToken ?? "");
      return this.#keep(tokens, this.#guests?.current?.id ?? null);
    });
  }

  /** Any way in that answers with tokens: the refresh token goes into the cookie, and this tab goes on as whom it belongs to. */
  async signIn(path: string, body: object): Promise<User> {
    return this.#proven(path, { ...body, cookie: true }, (tokens) => {
      this.#guests?.goOnAs(null);
      return this.#keep(tokens, null);
    });
  }

  /** Takes up the session of the cookie; null when there is none. */
  restore(): Promise<User | null> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** A valid access token, renewed if need be; null when the user has to enter (again). */
  async token(): Promise<string | null> {
    if (!this.#tokens || Date.now() >= this.#renewAt) await this.restore();
    return this.#tokens?.accessToken ?? null;
  }

  /** The next `token()` asks the server, whatever the clock says: the socket was told that this one is no good. */
  invalidate(): void {
    this.#renewAt = 0;
  }

  /** Ends the session. The cookie says which, even when the access token is over. */
  async leave(): Promise<void> {
    // What is being renewed comes back as another token: that one is to be ended.
    if (this.#refreshing) await this.#refreshing.catch(() => null);
    const token = this.#tokens?.accessToken ?? null;
    const guest = this.#guests?.current ?? null;
    this.forget();
    await this.#alone(() =>
      guest
        ? this.#endByToken(guest.refreshToken)
        : this.#send<void>("DELETE", "/auth/logout", undefined, token),
    );
  }

  /** The login is over, and the server knows. */
  forget(): void {
    this.#forget(this.#guests?.current?.id ?? null);
  }

  #forget(guestId: string | null): void {
    this.#turn++;
    this.#tokens = null;
    if (guestId) this.#guests?.remove(guestId);
    else this.#guests?.setMain(null);
  }

  /** Ends a guest of this device who is not the one of this tab. */
  async endGuest(userId: string): Promise<void> {
    await this.#alone(async () => {
      const guest = this.#guests?.find(userId);
      if (!guest) return;
      this.#guests?.remove(userId);
      await this.#endByToken(guest.refreshToken);
    });
  }

  // Without the cookie: the server would end the login in it as well.
  async #endByToken(refreshToken: string): Promise<void> {
    await this.#fetch(`${this.#base}/api/v1/auth/logout`, {
      method: "DELETE",
      headers: { "content-type": "application/json" },
      credentials: "omit",
      keepalive: true,
      body: JSON.stringify({ refreshToken }),
    });
  }

  /** Redeems the administrator's link. The access token stays; the user behind it has a new role. */
  async claim(secret: string): Promise<User> {
    const { user } = await this.request<{ user: User }>("POST", "/auth/claim", { secret });
    if (this.#tokens) this.#tokens = { ...this.#tokens, user };
    return user;
  }

  async rooms(): Promise<ListedRoom[]> {
    return (await this.request<{ rooms: ListedRoom[] }>("GET", "/rooms")).rooms;
  }

  async room(roomId: string): Promise<ListedRoom> {
    return this.request<ListedRoom>("GET", `/rooms/${encodeURIComponent(roomId)}`);
  }

  async createRoom(room: NewRoom): Promise<Room> {
    return this.request<Room>("POST", "/rooms", room);
  }

  /** A page of history, newest first: what came before `before`. */
  async messages(roomId: string, before?: string, limit = 50): Promise<Message[]> {
    const query = new URLSearchParams({ limit: String(limit), ...(before ? { before } : {}) });
    const path = `/rooms/${encodeURIComponent(roomId)}/messages?${query}`;
    return (await this.request<{ messages: Message[] }>("GET", path)).messages;
  }

  async iceServers(): Promise<RTCIceServer[]> {
    return (await this.request<{ iceServers: RTCIceServer[] }>("GET", "/webrtc/ice-servers")).iceServers;
  }

  /** Whom one has blocked. */
  async blocks(): Promise<Block[]> {
    return (await this.request<{ blocks: Block[] }>("GET", "/users/me/blocks")).blocks;
  }

  /** Never to be matched with them again; a match with them ends for both. */
  async block(userId: string): Promise<void> {
    await this.request<void>("PUT", `/users/${encodeURIComponent(userId)}/block`);
  }

  async unblock(userId: string): Promise<void> {
    await this.request<void>("DELETE", `/users/${encodeURIComponent(userId)}/block`);
  }

  /** Reports a person or a message to the site's moderators; returns the report's id. The evidence is frozen at this moment. */
  async report(report: NewReport): Promise<string> {
    return (await this.request<{ reportId: string }>("POST", "/reports", report)).reportId;
  }

  /** Any other REST call of the one who is signed in: `path` is what follows `/api/v1`. */
  request<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    return this.#authorized((token) => this.#send<T>(method, path, body, token, headers));
  }

  /** A call whose body or answer is not JSON; a refusal is thrown all the same. */
  raw(
    method: string,
    path: string,
    { headers, ...rest }: { headers?: Record<string, string>; body?: Blob; signal?: AbortSignal } = {},
  ): Promise<Response> {
    return this.#authorized(async (token) => {
      const authorization: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
      const response = await this.#fetch(`${this.#base}/api/v1${path}`, {
        method,
        headers: { accept: "application/json", ...headers, ...authorization },
        credentials: "same-origin",
        ...rest,
      });
      if (!response.ok) throw await refusal(response);
      return response;
    });
  }

  /** The whole address of a path on the server. */
  address(path: string): string {
    return `${this.#base}${path}`;
  }

  /** A file that needs the token, which an element's `src` cannot send. */
  file(path: string): Promise<Blob> {
    return this.#authorized(async (token) => (await this.#fetched("GET", path, undefined, token)).blob());
  }

  /** `guestId`: whose tokens were asked for; null: those of the cookie. */
  #keep(tokens: Tokens, guestId: string | null): User {
    this.#tokens = tokens;
    this.#banned = null;
    this.#endedBy = null;
    this.#reused.push(...(tokens.reusedLogins ?? []));
    this.#wrongCodes += tokens.wrongCodes?.count ?? 0;
    if (guestId) this.#guests?.renew(tokens.user, tokens.refreshToken);
    else this.#guests?.setMain(tokens.user);
    this.#renewAt = Date.now() + tokens.expiresInS * 1000 - RENEW_BEFORE_MS;
    return tokens.user;
  }

  // A refresh token works once, and the tabs of a browser share the cookie: two refreshes at a time would look like a theft, and a way
  // in or out beside one would be undone by its answer. One finishes, cookie and all, before the next one begins.
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const locks = globalThis.navigator?.locks;
    if (locks) return locks.request(LOCK, work) as Promise<T>;
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #refresh(): Promise<User | null> {
    const turn = this.#turn;
    return this.#alone(async () => {
      // Whoever it was asked for has gone, or come in anew, while it waited.
      if (turn !== this.#turn) return this.user;
      // Never somebody else without a word: whoever was ended in another tab is out in this one.
      if (this.#guests?.isGone) {
        this.#tokens = null;
        this.#endedBy = "token_invalid";
        this.#guests.goOnAs(null);
        return null;
      }
      // Read under the lock: another tab may have changed it for the next one.
      const guest = this.#guests?.current ?? null;
      try {
        const body = guest ? { refreshToken: guest.refreshToken } : undefined;
        const tokens = await this.#post<Tokens>("/auth/refresh", body);
        if (turn !== this.#turn) return this.user;
        const before = this.#tokens?.user.id;
        const user = this.#keep(tokens, guest?.id ?? null);
        if (before === undefined || before === user.id) return user;
        this.#tokens = null;
        this.emit("userChanged", user);
        throw new ParlorError("user_changed", "Somebody else has come in in another tab.");
      } catch (error) {
        if (!(error instanceof ParlorError) || KEEPING.includes(error.code)) throw error;
        this.#endedBy = error.code;
        this.#forget(guest?.id ?? null);
        return null;
      }
    });
  }

  async #authorized<T>(work: (token: string | null) => Promise<T>): Promise<T> {
    try {
      return await work(await this.token());
    } catch (error) {
      if (!(error instanceof ParlorError) || !["token_expired", "token_invalid"].includes(error.code))
        throw error;
      this.invalidate();
      return work(await this.token());
    }
  }

  /** Where many enter at once, the server asks for some work first: it is done, and nobody notices. */
  async #proven(path: string, body: object, take: (tokens: Tokens) => User): Promise<User> {
    const comeIn = (proof: object) =>
      this.#alone(async () => {
        const tokens = await this.#post<Tokens>(path, { ...body, ...proof });
        this.#turn++;
        return take(tokens);
      });
    try {
      return await comeIn({});
    } catch (error) {
      if (!(error instanceof ParlorError) || error.code !== "proof_required") throw error;
      const proof = await solve(error.detail.challenge as Riddle);
      if (!proof) throw error;
      return comeIn({ proof });
    }
  }

  /** What anybody may read, signed in or not. */
  read<T>(path: string): Promise<T> {
    return this.#send<T>("GET", path, undefined, null);
  }

  #post<T>(path: string, body: unknown): Promise<T> {
    return this.#send<T>("POST", path, body, null);
  }

  async #send<T>(
    method: string,
    path: string,
    body: unknown,
    token: string | null,
    more: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const response = await this.#fetched(method, path, body, token, more);
    const text = await response.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async #fetched(
    method: string,
    path: string,
    body: unknown,
    token: string | null,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const headers: Record<string, string> = { accept: "application/json", ...more };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (token) headers.authorization = `Bearer ${token}`;
    const response = await this.#fetch(`${this.#base}/api/v1${path}`, {
      method,
      headers,
      credentials: "same-origin",
      // These finish even when their page goes away: a refresh's answer sets the cookie that works next, and what is given up,
      // removed or ended should not be kept by a closed tab.
      keepalive: path === "/auth/refresh" || method === "DELETE",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    const error = await refusal(response);
    this.#banned = bannedOf(error) ?? this.#banned;
    throw error;
  }
}

/** The ban that an error tells of, if it does. */
export function bannedOf(error: unknown): Banned | null {
  if (!(error instanceof ParlorError) || error.code !== "banned") return null;
  const { reason, until } = error.detail;
  return {
    reason: typeof reason === "string" ? reason : "",
    until: typeof until === "string" ? until : null,
  };
}

/** The problem document (RFC 9457) of an answer; a proxy's page without one becomes `internal`. */
async function refusal(response: Response): Promise<ParlorError> {
  const problem = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  return new ParlorError(
    typeof problem.code === "string" ? problem.code : "internal",
    String(problem.detail ?? problem.title ?? `The server answered ${response.status}.`),
    typeof problem.retryAfterMs === "number" ? problem.retryAfterMs : null,
    typeof problem.extra === "object" && problem.extra ? (problem.extra as Record<string, unknown>) : {},
  );
}
