import type { NotifyLevel } from "@parlor/sdk";
import { useMutation } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Choice } from "../hub/fields.tsx";
import { isHushed, useInbox } from "../hub/hooks.ts";
import { parlor } from "../session.tsx";
import { Alert } from "../ui.tsx";
import { inSeconds, SPANS } from "./words.ts";

const LEVELS = ["all", "mentions", "none"] as const satisfies NotifyLevel[];
const QUIETS = ["hour", "day", "week"] as const;
type Quiet = "" | "kept" | (typeof QUIETS)[number];

/** Of what one is told in a room that one belongs to. It is one's own: nobody else sees it. */
export function HowLoud({ roomId }: { roomId: string }) {
  const { t, i18n } = useTranslation();
  const now = useInbox().unread.get(roomId);
  const choose = useMutation({
    mutationFn: ({ level, until }: { level: NotifyLevel; until: string | null }) =>
      parlor.rooms.notify(roomId, level, until),
    onSettled: () => parlor.inbox.refresh().catch(() => undefined),
  });
  if (!now) return null;
  const wished = choose.isPending ? choose.variables : { level: now.level, until: now.mutedUntil };
  const until = isHushed({ level: "all", mutedUntil: wished.until }) ? wished.until : null;
  const when = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
  const quiets: [Quiet, string][] = [
    ["", t("rooms.loud.notQuiet")],
    ...(until ? [["kept", t("rooms.until", { when: when.format(new Date(until)) })] as [Quiet, string]] : []),
    ...QUIETS.map(
      (span) => [span, t("rooms.loud.quietFor", { span: t(`rooms.span.${span}`) })] as [Quiet, string],
    ),
  ];
  const hush = (quiet: Quiet) => {
    if (quiet === "kept") return;
    choose.mutate({ level: wished.level, until: quiet ? inSeconds(SPANS[quiet]) : null });
  };
  return (
    <section aria-label={t("rooms.loud.title")} className="grid gap-3">
      <h3 className="text-sm font-semibold tracking-wide text-soft uppercase">{t("rooms.loud.title")}</h3>
      <div className="grid grid-cols-1 gap-3 sm:grid-cols-2 lg:grid-cols-1">
        <Choice
          label={t("rooms.loud.level")}
          value={wished.level}
          options={LEVELS.map((level) => [level, t(`rooms.loud.levels.${level}`)] as const)}
          onChange={(level) => choose.mutate({ level, until })}
          testId="loud-level"
        />
        <Choice
          label={t("rooms.loud.quiet")}
          value={until ? "kept" : ""}
          options={quiets}
          onChange={hush}
          testId="loud-quiet"
        />
      </div>
      {choose.error ? <Alert>{sentence(choose.error)}</Alert> : null}
    </section>
  );
}
