import type { CaseFilter, ReviewCase } from "@parlor/sdk";
import { UserRoundCheck } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation } from "react-router";
import { sentence } from "../errors.ts";
import { useSession } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import { Live, Priority } from "./Badge.tsx";
import { isOpen, useCases } from "./desk.ts";
import { useKeys } from "./keys.ts";
import { useTimes, word } from "./words.ts";

const FILTERS: CaseFilter[] = ["open", "pending", "reviewing", "escalated", "resolved", "dismissed"];

/** Where the focus goes in the list, when one comes back from a case. */
export interface ListLocation {
  from?: string;
}

export function CaseList({ openId }: { openId: string | null }) {
  const { t } = useTranslation();
  const [filter, setFilter] = useState<CaseFilter>("open");
  const { data, error, isPending, hasNextPage, fetchNextPage, isFetchingNextPage } = useCases(filter);
  const cases = data?.pages.flatMap((page) => page.cases) ?? [];
  const list = useListFocus(openId, data !== undefined);
  const filterId = useId();

  return (
    <section aria-labelledby={`${filterId}-title`} className="p-3">
      <div className="mb-3 flex items-center gap-3">
        <h2 id={`${filterId}-title`} className="mr-auto text-xl font-bold">
          {t("review.cases")}
        </h2>
        <label htmlFor={filterId} className="text-soft">
          {t("review.filter")}
        </label>
        <select
          id={filterId}
          className="field w-auto"
          value={filter}
          onChange={(event) => setFilter(event.target.value as CaseFilter)}
          data-testid="filter"
        >
          {FILTERS.map((value) => (
            <option key={value} value={value}>
              {t(`review.filters.${value}`)}
            </option>
          ))}
        </select>
      </div>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data && cases.length === 0 ? (
        <p
          className="rounded-2xl border border-dashed border-line p-8 text-center text-soft"
          data-testid="no-case"
        >
          {t(filter === "open" ? "review.noneOpen" : "review.none")}
        </p>
      ) : null}
      <ul ref={list} className="grid gap-2">
        {cases.map((item) => (
          <CaseItem key={item.caseId} item={item} current={item.caseId === openId} />
        ))}
      </ul>
      {hasNextPage ? (
        <Button
          tone="plain"
          className="mt-3 w-full"
          disabled={isFetchingNextPage}
          onClick={() => void fetchNextPage()}
        >
          {t("review.more")}
        </Button>
      ) : null}
    </section>
  );
}

/** j, k and the arrows move the focus; coming back from a case, it is where one left. */
function useListFocus(openId: string | null, filled: boolean) {
  const list = useRef<HTMLUListElement>(null);
  const { state } = useLocation();
  const from = (state as ListLocation | null)?.from;

  const move = (step: number) => {
    const rows = rowsOf(list.current);
    const focused = rows.indexOf(document.activeElement as HTMLElement);
    const at = focused < 0 ? rows.findIndex((row) => row.dataset.case === openId) : focused;
    const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1);
    rows[next]?.focus();
  };
  // Elsewhere the arrows scroll, as everywhere.
  const moveHere = (step: number) => {
    const active = document.activeElement;
    return active === document.body || list.current?.contains(active) ? move(step) : false;
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    arrowdown: () => moveHere(1),
    arrowup: () => moveHere(-1),
  });

  useEffect(() => {
    if (openId || !from || !filled) return;
    // The case may have gone from the list: then the first of those that wait is next.
    const rows = rowsOf(list.current);
    (rows.find((row) => row.dataset.case === from) ?? rows[0])?.focus();
  }, [openId, from, filled]);

  return list;
}

function rowsOf(list: HTMLElement | null): HTMLElement[] {
  return [...(list?.querySelectorAll<HTMLElement>("a") ?? [])];
}

function CaseItem({ item, current }: { item: ReviewCase; current: boolean }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const { at, ago } = useTimes();
  const { caseId, status, priority, source, subject, claimedBy } = item;
  const claim =
    claimedBy && isOpen(item)
      ? claimedBy.userId === user?.id
        ? t("review.yours")
        : t("review.takenShort", { name: claimedBy.nickname })
      : null;
  return (
    <li>
      <Link
        to={`/review/cases/${caseId}`}
        aria-current={current ? "true" : undefined}
        className="grid gap-1 rounded-xl border border-line p-3 hover:bg-sunken aria-[current=true]:border-accent aria-[current=true]:bg-tint"
        data-testid="case"
        data-case={caseId}
        data-status={status}
        data-priority={priority}
        data-subject={subject.nickname}
      >
        <span className="flex items-center gap-2">
          <Priority priority={priority} />
          <span className="truncate font-semibold">{word("labels", item.label ?? source)}</span>
          {item.live ? <Live /> : null}
        </span>
        <span className="truncate">
          {subject.nickname}
          {item.roomName ? <span className="text-soft"> · {item.roomName}</span> : null}
        </span>
        <span className="flex flex-wrap gap-x-2 text-sm text-soft">
          <span>{t(`review.statuses.${status}`)}</span>
          <time dateTime={item.createdAt} title={at(item.createdAt)}>
            {ago(item.createdAt)}
          </time>
          {item.reportCount > 0 ? <span>{t("review.reportCount", { count: item.reportCount })}</span> : null}
        </span>
        {claim ? (
          <span className="flex items-center gap-1 text-sm" data-testid="claimed-by">
            <UserRoundCheck aria-hidden className="size-4" />
            {claim}
          </span>
        ) : null}
      </Link>
    </li>
  );
}
