import type { Ban, CaseDetails, CaseEvent, CaseReport, Named, ReviewCase } from "@parlor/sdk";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Section } from "./Section.tsx";
import { useDuration, useTimes, word } from "./words.ts";

export function Reports({ reports }: { reports: CaseReport[] }) {
  const { t } = useTranslation();
  const { at } = useTimes();
  if (reports.length === 0) return null;
  return (
    <Section title={t("review.reports.title")}>
      <ul className="grid gap-3">
        {reports.map(({ reportId, reason, description, reporter, at: when }) => (
          <li key={reportId} className="wrap-anywhere" data-testid="report-item" data-reason={reason}>
            <p>
              <span className="font-medium">{word("labels", reason)}</span>{" "}
              <span className="text-sm text-soft">
                {t("review.reports.by", { name: reporter?.nickname ?? t("review.reports.system") })} ·{" "}
                <time dateTime={when}>{at(when)}</time>
              </span>
            </p>
            {description ? <p className="whitespace-pre-wrap">{description}</p> : null}
          </li>
        ))}
      </ul>
    </Section>
  );
}

export function History({ subject, history }: { subject: Named; history: CaseDetails["history"] }) {
  const { t } = useTranslation();
  return (
    <Section title={t("review.history.title", { name: subject.nickname })}>
      <div className="grid gap-3 sm:grid-cols-2" data-testid="history">
        <div>
          <h4 className="text-soft">{t("review.history.cases")}</h4>
          {history.cases.length === 0 ? <p>{t("review.history.none")}</p> : null}
          <ul>
            {history.cases.map((item) => (
              <OtherCase key={item.caseId} item={item} />
            ))}
          </ul>
        </div>
        <div>
          <h4 className="text-soft">{t("review.history.bans")}</h4>
          {history.bans.length === 0 ? <p>{t("review.history.noBans")}</p> : null}
          <ul className="grid gap-1">
            {history.bans.map((ban) => (
              <li key={ban.banId} className="wrap-anywhere">
                {ban.reason} <BanTimes ban={ban} />
              </li>
            ))}
          </ul>
        </div>
      </div>
    </Section>
  );
}

function OtherCase({ item }: { item: ReviewCase }) {
  const { t } = useTranslation();
  const { at } = useTimes();
  const outcome = item.decision
    ? t(`review.decide.${item.decision.action}`)
    : t(`review.statuses.${item.status}`);
  return (
    <li>
      <Link
        to={`/review/cases/${item.caseId}`}
        className="inline-flex min-h-11 flex-wrap items-center gap-x-2 sm:min-h-8"
      >
        <span className="font-medium text-accent underline underline-offset-4">
          {word("labels", item.label ?? item.source)}
        </span>
        <span>{outcome}</span>
        <time dateTime={item.createdAt} className="text-sm text-soft">
          {at(item.createdAt)}
        </time>
      </Link>
    </li>
  );
}

export function BanTimes({ ban }: { ban: Ban }) {
  const { t } = useTranslation();
  const { at } = useTimes();
  const parts = [
    t("review.ban.since", { time: at(ban.at) }),
    ban.until ? t("review.ban.until", { time: at(ban.until) }) : t("review.ban.forGood"),
    ...(ban.by ? [t("review.ban.by", { name: ban.by.nickname })] : []),
    ...(ban.liftedAt ? [t("review.ban.lifted")] : []),
  ];
  return <span className="text-sm text-soft">{parts.join(" · ")}</span>;
}

export function Events({ events }: { events: CaseEvent[] }) {
  const { t } = useTranslation();
  return (
    <Section title={t("review.events.title")}>
      {events.length === 0 ? <p className="text-soft">{t("review.events.none")}</p> : null}
      <ol className="grid gap-2">
        {events.map((event) => (
          <li key={`${event.at} ${event.action}`}>
            <Done {...event} />
          </li>
        ))}
      </ol>
    </Section>
  );
}

/** A line of a log: who did what, when, and why. */
export function Done({
  by,
  action,
  at: when,
  reason,
  durationS,
  subject,
}: CaseEvent & { subject?: Named | null }) {
  const { t } = useTranslation();
  const { at } = useTimes();
  const duration = useDuration();
  return (
    <div className="wrap-anywhere" data-testid="event" data-action={action}>
      <p>
        <span className="font-medium">{by?.nickname ?? t("review.events.server")}</span>{" "}
        {word("events", action)}
        {subject ? ` · ${subject.nickname}` : ""}
        {durationS ? ` (${duration(durationS)})` : ""}{" "}
        <time dateTime={when} className="text-sm text-soft">
          {at(when)}
        </time>
      </p>
      {reason ? <p className="text-soft">{reason}</p> : null}
    </div>
  );
}
