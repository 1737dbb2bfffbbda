import { type CaseAction, type CaseDetails, ParlorError } from "@parlor/sdk";
import { useQueryClient } from "@tanstack/react-query";
import { ArrowLeft } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { useSession } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import { Badge, Live, Priority } from "./Badge.tsx";
import { Decide } from "./Decide.tsx";
import { isOpen, useCase, useCases, useClaim } from "./desk.ts";
import { EvidencePanel } from "./EvidencePanel.tsx";
import { useKeys } from "./keys.ts";
import { Events, History, Reports } from "./Past.tsx";
import { Section } from "./Section.tsx";
import { useTimes, word } from "./words.ts";

export function CaseView({ caseId }: { caseId: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { data, error } = useCase(caseId);
  const back = () => void navigate("/review", { state: { from: caseId } });
  useKeys({ escape: back });
  return (
    <div className="mx-auto grid max-w-3xl gap-5 p-4 sm:p-6">
      <Button
        tone="quiet"
        className="-ml-3 justify-self-start text-accent lg:hidden"
        onClick={back}
        data-testid="back-to-list"
      >
        <ArrowLeft aria-hidden className="size-5" />
        {t("review.backToList")}
      </Button>
      {data ? (
        <Opened details={data} />
      ) : error ? (
        <Alert>
          {error instanceof ParlorError && ["not_found", "bad_request"].includes(error.code)
            ? t("review.gone")
            : sentence(error)}
        </Alert>
      ) : (
        <Spinner />
      )}
    </div>
  );
}

function Opened({ details }: { details: CaseDetails }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const queries = useQueryClient();
  const heading = useRef<HTMLHeadingElement>(null);
  const [done, setDone] = useState<CaseAction | null>(null);
  const { caseId, claimedBy, subject, label, source } = details;
  const other = claimedBy && claimedBy.userId !== user?.id ? claimedBy : null;
  const open = isOpen(details);
  const barred = useBarred(details);
  const claim = useClaim(caseId, open && !other && !barred && done === null);
  const { next, goNext } = useNextCase(caseId);
  useKeys({ n: next ? goNext : undefined });

  // Whoever opened the case is in it: what is read out, and where Tab goes on, is its beginning.
  useEffect(() => heading.current?.focus(), []);

  const onDone = (action: CaseAction) => {
    claim.settle();
    setDone(action);
    void queries.invalidateQueries({ queryKey: ["review"] });
  };

  return (
    <article className="grid gap-5" data-testid="case-view" data-case={caseId} data-status={details.status}>
      <header className="grid gap-2">
        <div className="flex flex-wrap items-center gap-2">
          <Priority priority={details.priority} />
          <Badge className="border border-line bg-surface">{t(`review.statuses.${details.status}`)}</Badge>
          {details.live ? <Live /> : null}
        </div>
        <h2 ref={heading} tabIndex={-1} className="text-2xl font-bold wrap-anywhere" data-testid="case-title">
          {t("review.caseOf", { label: word("labels", label ?? source), name: subject.nickname })}
        </h2>
        <Decided details={details} />
      </header>
      <Claim
        other={open ? other : null}
        problem={other ? null : claim.problem}
        mine={open && claimedBy !== null && !other}
      />
      {done ? (
        <div className="flex flex-wrap items-center gap-3 rounded-xl bg-tint px-3 py-2">
          <p role="status" className="mr-auto" data-testid="done">
            {t("review.decide.done", { action: t(`review.decide.${done}`) })}
          </p>
          {next ? (
            <Button autoFocus onClick={goNext} data-testid="next-case">
              {t("review.nextCase")}
            </Button>
          ) : null}
        </div>
      ) : null}
      <Facts details={details} />
      <EvidencePanel evidence={details.evidence} label={label} />
      <Reports reports={details.reports} />
      {open && !(done && done !== "escalate") ? (
        barred ? (
          <p data-testid="barred">{barred}</p>
        ) : (
          <Decide details={details} locked={other !== null} onDone={onDone} />
        )
      ) : null}
      <History subject={subject} history={details.history} />
      <Events events={details.events} />
    </article>
  );
}

/** Why it is not for this moderator to decide. The server holds to it; this only keeps buttons away that it would refuse. */
function useBarred({ status, subject }: CaseDetails): string | null {
  const { t } = useTranslation();
  const { user } = useSession();
  if (subject.userId === user?.id) return t("review.decide.yourself");
  return status === "escalated" && user?.role !== "administrator" ? t("review.decide.escalated") : null;
}

/** The first of the open cases that is not this one, nor anybody else's. */
function useNextCase(caseId: string) {
  const navigate = useNavigate();
  const { user } = useSession();
  const cases = useCases("open").data?.pages.flatMap((page) => page.cases) ?? [];
  const next = cases.find(
    (item) => item.caseId !== caseId && (!item.claimedBy || item.claimedBy.userId === user?.id),
  );
  return { next, goNext: () => next && void navigate(`/review/cases/${next.caseId}`) };
}

function Decided({ details: { decision } }: { details: CaseDetails }) {
  const { t } = useTranslation();
  const { at } = useTimes();
  if (!decision) return null;
  return (
    <p className="text-soft wrap-anywhere" data-testid="decision" data-action={decision.action}>
      {t("review.decided", {
        action: word("events", decision.action),
        name: decision.by.nickname,
        reason: decision.reason,
      })}{" "}
      <time dateTime={decision.at}>({at(decision.at)})</time>
    </p>
  );
}

interface ClaimProps {
  other: CaseDetails["claimedBy"];
  problem: string | null;
  mine: boolean;
}

function Claim({ other, problem, mine }: ClaimProps) {
  const { t, i18n } = useTranslation();
  const clock = new Intl.DateTimeFormat(i18n.language, { timeStyle: "short" });
  if (other || problem) {
    return (
      <div data-testid="conflict">
        <Alert>
          {other
            ? t("review.taken", { name: other.nickname, until: clock.format(new Date(other.until)) })
            : problem}
        </Alert>
      </div>
    );
  }
  return mine ? (
    <p className="text-sm text-soft" data-testid="claimed">
      {t("review.yours")}
    </p>
  ) : null;
}

function Facts({ details }: { details: CaseDetails }) {
  const { t } = useTranslation();
  const { at, ago } = useTimes();
  const { subject, roomName, roomId, trackSource, live, createdAt, source } = details;
  const track = trackSource
    ? `${t(`review.tracks.${trackSource}`)} · ${t(live ? "review.live" : "review.over")}`
    : t("review.facts.noTrack");
  return (
    <Section title={t("review.facts.title")}>
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 wrap-anywhere">
        <Fact name={t("review.facts.who")}>{subject.nickname}</Fact>
        <Fact name={t("review.facts.room")}>{roomName ?? roomId ?? t("review.facts.noRoom")}</Fact>
        <Fact name={t("review.facts.track")}>{track}</Fact>
        <Fact name={t("review.facts.opened")}>
          <time dateTime={createdAt}>{at(createdAt)}</time> ({ago(createdAt)})
        </Fact>
        <Fact name={t("review.facts.found")}>{t(`review.sources.${source}`)}</Fact>
      </dl>
    </Section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-soft">{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
