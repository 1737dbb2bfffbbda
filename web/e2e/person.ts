import AxeBuilder from "@axe-core/playwright";
import type { Browser, BrowserContext, Locator, Page } from "@playwright/test";
import { expect, type Kind } from "./browsers.ts";
import { installMedia, type Look, type MediaOptions, type Picture } from "./media/index.ts";
import type { Login } from "./rest.ts";

/** What a page has seen in one tile: the id it shows, and how many of its frames. */
interface Seen {
  id: number;
  frames: number;
  width: number;
}

/** In Firefox, Playwright adds and removes the style `body {}` for a screenshot; the page's policy forbids it by this name. */
const STYLE_OF_SCREENSHOTS = "sha256-YjaKGiklmzC6wjXA513HAMmzus8VE61XCOT+SmwNZWA=";

/** Part of an element, each from 0 to 1. */
export interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
}

const WHOLE: Part = { x: 0, y: 0, width: 1, height: 1 };

interface PersonOptions extends Partial<MediaOptions> {
  id: number;
  viewport?: { width: number; height: number };
  colorScheme?: "light" | "dark";
}

/** Somebody in a browser of their own: what they do, and what they see and hear. */
export class Person {
  readonly name: string;
  readonly id: number;
  readonly page: Page;
  readonly kind: Kind;
  /** What the page complained of. A good page complains of nothing. */
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;

  private constructor(name: string, id: number, kind: Kind, context: BrowserContext, page: Page) {
    this.name = name;
    this.id = id;
    this.kind = kind;
    this.#context = context;
    this.page = page;
    const complain = (text: string) => {
      if (!text.includes(STYLE_OF_SCREENSHOTS)) this.complaints.push(text);
    };
    page.on("console", (message) => {
      if (message.type() === "error") complain(`${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => complain(error.message));
  }

  static async open(browser: Browser, kind: Kind, name: string, options: PersonOptions): Promise<Person> {
    const { viewport = { width: 1280, height: 720 }, colorScheme = "light", ...media } = options;
    const context = await browser.newContext({ viewport, colorScheme });
    await installMedia(context, media);
    return new Person(name, options.id, kind, context, await context.newPage());
  }

  /** Types into a field, key by key: Playwright's `fill` sets the value behind React's back in Firefox. */
  async types(field: string, text: string): Promise<void> {
    await this.page.getByTestId(field).press("Control+a");
    await this.page.getByTestId(field).pressSequentially(text);
  }

  /** Opens a page of the server and enters there. */
  async enter(url: string): Promise<void> {
    await this.page.goto(url);
    await this.types("nickname", this.name);
    await this.types("birth-year", "1990");
    await this.page.getByTestId("adult").check();
    await this.page.getByTestId("enter").click();
    await expect(this.page.getByTestId("enter")).toBeHidden();
  }

  /** Makes a room and comes to its lobby; returns the room's link. */
  async createRoom(name: string, visibility: "public" | "unlisted" = "unlisted"): Promise<string> {
    await this.page.getByTestId("create-room").click();
    await this.types("room-name", name);
    await this.page.getByTestId(`visibility-${visibility}`).check();
    await this.page.getByTestId("create-submit").click();
    await expect(this.page.getByTestId("join")).toBeVisible();
    return this.page.url();
  }

  /** From the lobby into the call, until the connection stands. */
  async join(): Promise<void> {
    await this.page.getByTestId("join").click();
    await this.connected();
  }

  async connected(): Promise<void> {
    const connection = this.page.getByTestId("connection");
    await expect(connection).toHaveAttribute("data-phase", "connected");
    await expect(connection).toHaveAttribute("data-socket", "open");
  }

  tile(name: string, source: "camera" | "screen" = "camera"): Locator {
    return this.page.locator(
      `[data-testid=tile][data-nickname="${name}"][data-source=${source}]:not([data-self])`,
    );
  }

  /** Waits until the tile of somebody shows `frames` different frames of that id, and of no other. */
  async sees(
    name: string,
    id: number,
    options: { source?: "camera" | "screen"; frames?: number } = {},
  ): Promise<Seen> {
    const { source = "camera", frames = 10 } = options;
    const tile = this.tile(name, source);
    await expect(tile).toHaveAttribute("data-shown", "true");
    const seen = await tile.locator("video").evaluate(watch, { frames, patienceMs: 20_000 });
    expect(seen.strangers, `${this.name} looks at ${name}: ids of others`).toEqual(
      seen.strangers.filter((other) => other === id),
    );
    expect(seen.frames, `${this.name} looks at ${name}: advancing frames`).toBeGreaterThanOrEqual(frames);
    return { id, frames: seen.frames, width: seen.width };
  }

  /** What an element looks like on the screen, whatever its video knows: blurred, covered, or black. */
  async looksLike(element: Locator, part = WHOLE): Promise<Look> {
    const box = await element.boundingBox();
    if (!box) throw new Error(`${this.name} does not see the element`);
    const clip = {
      x: box.x + box.width * part.x,
      y: box.y + box.height * part.y,
      width: box.width * part.width,
      height: box.height * part.height,
    };
    const picture = await this.page.screenshot({ clip });
    return this.page.evaluate(
      (address) => globalThis.__media.look(address),
      `data:image/png;base64,${picture.toString("base64")}`,
    );
  }

  /** The page's own login, renewed under the page's lock: two renewals at a time would look like a theft. */
  async session(): Promise<Login> {
    return this.page.evaluate(async () =>
      navigator.locks.request("parlor-refresh", async () => {
        const answer = await fetch("/api/v1/auth/refresh", { method: "POST" });
        if (!answer.ok) throw new Error(`no login: ${answer.status}`);
        return (await answer.json()) as Login;
      }),
    );
  }

  /** What somebody's tile shows at this moment. */
  looksAt(name: string, source: "camera" | "screen" = "camera"): Promise<Picture | null> {
    return this.tile(name, source)
      .locator("video")
      .evaluate((video) => globalThis.__media.readVideo(video as HTMLVideoElement));
  }

  /** Waits until somebody's tone is heard after now. */
  async hears(name: string, id: number): Promise<void> {
    await expect
      .poll(() => this.#heard(name, id), { message: `${this.name} hears ${name}` })
      .toBeLessThan(1_500);
  }

  /** Waits until somebody's tone, of which half of every second is beep, has been missing for three seconds. */
  async hearsNot(name: string, id: number): Promise<void> {
    await expect
      .poll(() => this.#heard(name, id), { message: `${this.name} does not hear ${name}` })
      .toBeGreaterThan(3_000);
  }

  /** How long ago the tone of this id was heard, in milliseconds; in any slot, since slots change hands. */
  #heard(name: string, id: number): Promise<number> {
    void name;
    return this.page.evaluate((toneId) => {
      const times = [...document.querySelectorAll<HTMLAudioElement>("[data-testid=sound]")].map((audio) => {
        const stream = audio.srcObject;
        return stream instanceof MediaStream ? (globalThis.__media.hear(stream).tones[toneId] ?? 0) : 0;
      });
      const last = Math.max(0, ...times);
      return last === 0 ? Number.MAX_SAFE_INTEGER : performance.now() - last;
    }, id);
  }

  async openChat(): Promise<void> {
    if (await this.page.getByTestId("log").isHidden()) await this.page.getByTestId("chat").click();
    await expect(this.page.getByTestId("log")).toBeVisible();
  }

  async says(text: string): Promise<void> {
    await this.types("message-text", text);
    await this.page.getByTestId("send").click();
  }

  /** Waits until the chat is exactly this, everything acknowledged. */
  async reads(texts: string[]): Promise<void> {
    const settled = this.page.locator('[data-testid=message][data-state="sent"] [data-testid=text]');
    await expect(settled).toHaveText(texts);
    await expect(this.page.getByTestId("message")).toHaveCount(texts.length);
  }

  /** The automatic part of an accessibility check finds nothing, once colours are no longer on their way. */
  async isAccessible(where: string): Promise<void> {
    await this.page.evaluate(async () => {
      const ending = document
        .getAnimations()
        .filter((it) => it.effect?.getComputedTiming().endTime !== Infinity);
      await Promise.allSettled(ending.map((it) => it.finished));
    });
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    expect(found, `axe on ${where}`).toEqual([]);
  }

  /** Nothing is wider than the page. */
  async fits(where: string): Promise<void> {
    const overflow = await this.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow, `${where} scrolls sideways`).toBeLessThanOrEqual(0);
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}

/** In the page: watches a <video> until it has shown enough different frames. */
async function watch(
  video: SVGElement | HTMLElement,
  { frames, patienceMs }: { frames: number; patienceMs: number },
): Promise<{ frames: number; strangers: number[]; width: number }> {
  const pictures: Picture[] = [];
  const deadline = performance.now() + patienceMs;
  const counters = new Set<number>();
  while (counters.size < frames && performance.now() < deadline) {
    const picture = globalThis.__media.readVideo(video as HTMLVideoElement);
    if (picture) {
      pictures.push(picture);
      counters.add(picture.counter);
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return {
    frames: counters.size,
    strangers: [...new Set(pictures.map(({ id }) => id))],
    width: (video as HTMLVideoElement).videoWidth,
  };
}
