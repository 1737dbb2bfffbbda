import type { User } from "./proto.js";
import { type Keep, Shelf } from "./shelf.js";

/** Somebody without an account whom this device keeps beside the login in the cookie. */
export interface Guest {
  id: string;
  nickname: string;
  /** Works once: each renewal puts another one in its place. */
  refreshToken: string;
}

/** Whose login is in the cookie: a name to be shown, nothing that lets anybody in. */
export type Main = Pick<User, "id" | "nickname">;

/**
 * The guests of one device. The first login is in the HttpOnly cookie, which no script sees; further guests are kept here, and each
 * tab may go on as another one. Only people without an account are kept this way.
 */
export class Guests {
  readonly #list: Shelf<Guest[]>;
  readonly #main: Shelf<Main>;
  readonly #current: Shelf<string>;

  /** `keep` is shared by all tabs, `tab` is this tab's own. */
  constructor(keep: Keep, tab: Keep) {
    this.#list = new Shelf(keep, "guests");
    this.#main = new Shelf(keep, "main");
    this.#current = new Shelf(tab, "guest");
  }

  /** All guests beside the cookie's login, the oldest first. */
  get all(): Guest[] {
    return this.#list.read() ?? [];
  }

  /** As which of them this tab goes on; null: as the cookie's login. */
  get current(): Guest | null {
    const id = this.#current.read();
    return (id && this.find(id)) || null;
  }

  /** This tab went on as a guest whom another tab has ended meanwhile. */
  get isGone(): boolean {
    const id = this.#current.read();
    return id !== null && this.find(id) === null;
  }

  /** Whose login the cookie holds, as far as is known. */
  get main(): Main | null {
    return this.#main.read();
  }

  find(id: string): Guest | null {
    return this.all.find((guest) => guest.id === id) ?? null;
  }

  /** One more guest; this tab goes on as them. */
  add({ id, nickname }: User, refreshToken: string): void {
    this.#list.write([...this.all.filter((guest) => guest.id !== id), { id, nickname, refreshToken }]);
    this.goOnAs(id);
  }

  /** The tokens of a guest were changed for others. */
  renew({ id, nickname }: User, refreshToken: string | null): void {
    if (refreshToken === null) return;
    this.#list.write(this.all.map((guest) => (guest.id === id ? { id, nickname, refreshToken } : guest)));
  }

  remove(id: string): void {
    if (this.#current.read() === id) this.goOnAs(null);
    const left = this.all.filter((guest) => guest.id !== id);
    this.#list.write(left.length > 0 ? left : null);
  }

  /** Null: as the cookie's login. It holds from the next renewal on: load the page anew. */
  goOnAs(id: string | null): void {
    this.#current.write(id);
  }

  setMain(user: User | null): void {
    this.#main.write(user && { id: user.id, nickname: user.nickname });
  }
}
