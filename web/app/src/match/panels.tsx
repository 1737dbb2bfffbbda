import type { MatchSnapshot } from "@parlor/sdk";
import { Ban, Flag, Search } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useSecondsLeft } from "../clock.ts";
import { isOn } from "../place/place.ts";
import { useSafety } from "../safety/Safety.tsx";
import { Button } from "../ui.tsx";
import { useArrival } from "./hooks.ts";
import { endingText, stageText, waitText } from "./words.ts";

/** What is said beside the camera while nobody is there to talk to. */
function Panel({ title, children }: { title: string; children: ReactNode }) {
  const heading = useArrival<HTMLHeadingElement>();
  return (
    <section className="grid gap-5">
      <h1 ref={heading} tabIndex={-1} className="text-3xl font-bold wrap-anywhere outline-none">
        {title}
      </h1>
      {children}
    </section>
  );
}

export function Searching({ snapshot, onStop }: { snapshot: MatchSnapshot; onStop: () => void }) {
  const { t, i18n } = useTranslation();
  const { wishes, reason, estimatedWaitMs } = snapshot;
  const tag = wishes?.language ?? null;
  const language = useMemo(
    () => (tag === null ? null : (new Intl.DisplayNames(i18n.language, { type: "language" }).of(tag) ?? tag)),
    [i18n.language, tag],
  );
  return (
    <Panel title={t("match.searching")}>
      <div className="flex items-center gap-4">
        <span
          aria-hidden
          className="grid size-14 shrink-0 place-items-center rounded-full bg-tint text-accent motion-safe:animate-pulse"
        >
          <Search className="size-7" />
        </span>
        <div role="status" data-testid="stage" data-stage={snapshot.stage ?? ""}>
          {reason === "declined" || reason === "unconfirmed" ? <p>{t(`match.${reason}`)}</p> : null}
          <p>{stageText(t, snapshot, language)}</p>
          <p className="text-soft">{waitText(t, estimatedWaitMs)}</p>
        </div>
      </div>
      <Cancel onStop={onStop} />
    </Panel>
  );
}

function Cancel({ onStop }: { onStop: () => void }) {
  const { t } = useTranslation();
  return (
    <Button tone="plain" className="justify-self-start" onClick={onStop} data-testid="stop">
      {t("match.cancel")}
    </Button>
  );
}

/** The server wants us to wait before we search again. */
export function Waiting({ until, onStop }: { until: number | null; onStop: () => void }) {
  const { t } = useTranslation();
  const seconds = useSecondsLeft(until) ?? 0;
  return (
    <Panel title={t("match.slowDown")}>
      <p className="tabular-nums">{t("match.slowDownText", { count: seconds })}</p>
      <Cancel onStop={onStop} />
    </Panel>
  );
}

interface FoundProps {
  snapshot: MatchSnapshot;
  onAccept: () => void;
  onDecline: () => void;
  onStop: () => void;
}

/** Somebody was found, and both have to say yes. */
export function Found({ snapshot: { match, until }, onAccept, onDecline, onStop }: FoundProps) {
  const { t } = useTranslation();
  const seconds = useSecondsLeft(until);
  if (!match) return null;
  const name = match.partner.nickname;
  return (
    <Panel title={t("match.foundTitle", { name })}>
      <Shared interests={match.sharedInterests} />
      {match.accepted ? (
        <>
          <p role="status">{t("match.accepted", { name })}</p>
          <Cancel onStop={onStop} />
        </>
      ) : (
        <>
          {seconds === null ? null : (
            <p className="text-soft tabular-nums">{t("match.answer", { count: seconds })}</p>
          )}
          <div className="flex flex-wrap gap-3">
            <Button className="min-h-12 text-lg" onClick={onAccept} data-testid="accept">
              {t("match.accept")}
            </Button>
            <Button tone="plain" className="min-h-12" onClick={onDecline} data-testid="decline">
              {t("match.decline")}
            </Button>
            <Cancel onStop={onStop} />
          </div>
        </>
      )}
    </Panel>
  );
}

export function Shared({ interests }: { interests: string[] }) {
  const { t, i18n } = useTranslation();
  if (interests.length === 0) return null;
  const list = new Intl.ListFormat(i18n.language).format(interests);
  return (
    <p className="wrap-anywhere" data-testid="shared">
      {t("match.shared", { interests: list })}
    </p>
  );
}

interface EndedProps {
  snapshot: MatchSnapshot;
  /** What we did about the other one. */
  blocked: boolean;
  reported: boolean;
  notice: string | null;
  onStart: () => void;
  onChange: () => void;
}

/** Why it is over. What happened a moment ago can still be reported. */
export function Ended({ snapshot, blocked, reported, notice, onStart, onChange }: EndedProps) {
  const { t } = useTranslation();
  const { report, block } = useSafety();
  const { match, reason } = snapshot;
  const { title, hint } = endingText(t, snapshot, blocked ? "blocked" : reported ? "reported" : null);
  return (
    <Panel title={title}>
      <div className="grid gap-5" data-testid="match-ended" data-reason={reason ?? ""}>
        {hint ? <p>{hint}</p> : null}
        <div className="flex flex-wrap gap-3">
          <Button className="min-h-12 text-lg" onClick={onStart} data-testid="start">
            {t("match.findAnother")}
          </Button>
          <Button tone="plain" className="min-h-12" onClick={onChange} data-testid="change">
            {t("match.change")}
          </Button>
        </div>
        {match?.roomId ? (
          <div className="flex flex-wrap gap-2 border-t border-line pt-4">
            {reported || !isOn("moderation") ? null : (
              <Button
                tone="quiet"
                onClick={() => report({ ...match.partner, roomId: match.roomId ?? "" })}
                data-testid="report"
              >
                <Flag aria-hidden className="size-5" />
                {t("match.reportOf", { name: match.partner.nickname })}
              </Button>
            )}
            <Button tone="quiet" onClick={() => block(match.partner, !blocked)} data-testid="block">
              <Ban aria-hidden className="size-5" />
              {blocked
                ? t("safety.unblockOf", { name: match.partner.nickname })
                : t("match.blockOf", { name: match.partner.nickname })}
            </Button>
          </div>
        ) : null}
        <p role="status" className="text-soft">
          {notice}
        </p>
      </div>
    </Panel>
  );
}

interface TimedOutProps {
  onStart: () => void;
  onFallback: () => void;
  onStop: () => void;
}

export function TimedOut({ onStart, onFallback, onStop }: TimedOutProps) {
  const { t } = useTranslation();
  return (
    <Panel title={t("match.timeout")}>
      <p>{t("match.timeoutText")}</p>
      <div className="flex flex-wrap gap-3">
        <Button className="min-h-12" onClick={onStart} data-testid="start">
          {t("match.retry")}
        </Button>
        <Button tone="plain" className="min-h-12" onClick={onFallback} data-testid="fallback">
          {t("match.anybody")}
        </Button>
        <Button tone="quiet" className="min-h-12" onClick={onStop} data-testid="change">
          {t("match.change")}
        </Button>
      </div>
    </Panel>
  );
}
