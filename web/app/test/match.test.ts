import "../src/i18n.ts";
import { IDLE, type MatchSnapshot } from "@parlor/sdk";
import i18next from "i18next";
import { expect, test } from "vitest";
import { defaultLanguage, languagesIn, primaryTag } from "../src/match/languages.ts";
import { endingText, stageText, waitText } from "../src/match/words.ts";

const t = i18next.t;
const searching = (stage: MatchSnapshot["stage"], interests: string[] = []): MatchSnapshot => ({
  ...IDLE,
  phase: "searching",
  stage,
  wishes: { mode: "video", interests, language: "en", confirm: false },
});
const partner = { userId: "bob", nickname: "bob" };
const over = (reason: MatchSnapshot["reason"]) => ({
  reason,
  match: {
    matchId: "m",
    mode: "video" as const,
    partner,
    sharedInterests: [],
    roomId: "r",
    callId: "c",
    accepted: false,
  },
});

test("each stage says whom the search looks for", () => {
  const say = (snapshot: MatchSnapshot) => stageText(t, snapshot, "English");
  expect(say(searching(null))).toBe("Asking the server…");
  expect(say(searching("strict"))).toBe("Somebody who speaks English.");
  expect(say(searching("strict", ["chess"]))).toContain("shares an interest");
  expect(say(searching("interests", ["chess"]))).toContain("whatever their interests");
  expect(say(searching("language"))).toBe("Anybody, in any language.");
  expect(stageText(t, searching("strict"), null)).toBe("Anybody, in any language.");
  expect(stageText(t, searching("strict", ["chess"]), null)).toContain("shares an interest");
  expect(say(searching("fallback"))).toContain("a few minutes");
});

test("how long it takes is said as roughly as it is known", () => {
  const waits = [null, 0, 1_400, 3_200, 22_000, 119_000].map((ms) => waitText(t, ms));
  expect(waits).toEqual([
    "",
    "Usually a moment.",
    "Usually a moment.",
    "Usually about 3 seconds.",
    "Usually about 20 seconds.",
    "Usually about 2 minutes.",
  ]);
});

test("each end says why", () => {
  const title = (reason: MatchSnapshot["reason"]) => endingText(t, over(reason), null).title;
  expect(title("partner_left")).toBe("bob left");
  expect(title("partner_next")).toBe("bob went on to somebody else");
  expect(title("partner_lost")).toBe("bob lost the connection");
  expect(title("violation")).toBe("A moderator ended this conversation");
  expect(title("replaced")).toBe("You went on in another window");
  expect(title("unconfirmed")).toContain("in time");
});

test("who was blocked or reported is not told so; who did it is", () => {
  for (const reason of ["blocked", "reported"] as const) {
    expect(endingText(t, over(reason), null)).toEqual({ title: "The conversation is over", hint: "" });
    expect(endingText(t, over(reason), reason).title).toBe(`You ${reason} bob`);
  }
});

test("the language is the browser's own", () => {
  expect(defaultLanguage(["de-CH", "fr"])).toBe("de");
  expect(defaultLanguage([])).toBe("en");
  expect(primaryTag("zh-Hant-TW")).toBe("zh");
  expect(primaryTag("*")).toBeNull();
  const languages = languagesIn("en", ["gsw-CH", "en-GB"]);
  expect(languages.find(({ tag }) => tag === "gsw")?.name).toBe("Swiss German");
  expect(languages.filter(({ tag }) => tag === "en")).toHaveLength(1);
});
