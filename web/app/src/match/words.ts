import type { MatchSnapshot } from "@parlor/sdk";
import type { TFunction } from "i18next";

type T = TFunction<"page">;

/** Whom the search looks for at this stage. `language`: its name, when one is wished for. */
export function stageText(t: T, { stage, wishes }: MatchSnapshot, language: string | null): string {
  if (stage === null) return t("match.stages.asking");
  const interested = stage === "strict" && wishes !== null && wishes.interests.length > 0;
  if (language === null && stage !== "fallback")
    return t(interested ? "match.stages.anyInterests" : "match.stages.language");
  return t(interested ? "match.stages.strictInterests" : `match.stages.${stage}`, { language });
}

/** How long it usually takes. Nobody believes "7 seconds" after the fact: round, and say about. */
export function waitText(t: T, ms: number | null): string {
  if (ms === null) return "";
  const seconds = Math.round(ms / 1_000);
  if (seconds <= 1) return t("match.wait.soon");
  if (seconds < 60) return t("match.wait.seconds", { count: seconds < 10 ? seconds : roundTo(seconds, 5) });
  return t("match.wait.minutes", { count: Math.round(seconds / 60) });
}

function roundTo(value: number, step: number): number {
  return Math.round(value / step) * step;
}

export interface EndingText {
  title: string;
  hint: string;
}

/** Why a match is over. Who was blocked or reported is not told so: that would only make trouble for the other one. */
export function endingText(
  t: T,
  { reason, match }: Pick<MatchSnapshot, "reason" | "match">,
  mine: "blocked" | "reported" | null,
): EndingText {
  const name = match?.partner.nickname ?? "";
  if (mine === "blocked")
    return {
      title: t("match.endings.blockedByMe", { name }),
      hint: t("match.endingHints.blockedByMe"),
    };
  if (mine === "reported")
    return {
      title: t("match.endings.reportedByMe", { name }),
      hint: t("match.endingHints.reportedByMe"),
    };
  switch (reason) {
    case "partner_left":
    case "partner_next":
    case "partner_lost":
    case "declined":
    case "unconfirmed":
      return { title: t(`match.endings.${reason}`, { name }), hint: "" };
    case "violation":
    case "lost":
    case "replaced":
      return { title: t(`match.endings.${reason}`), hint: t(`match.endingHints.${reason}`) };
    default:
      return { title: t("match.endings.over"), hint: "" };
  }
}
