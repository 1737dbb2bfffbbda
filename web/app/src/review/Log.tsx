import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { sentence } from "../errors.ts";
import { Alert, Button, Spinner } from "../ui.tsx";
import { useLog } from "./desk.ts";
import { Done } from "./Past.tsx";

/** Everything that moderators did, newest first. */
export function Log() {
  const { t } = useTranslation();
  const { data, error, isPending, hasNextPage, fetchNextPage, isFetchingNextPage } = useLog();
  const entries = data?.pages.flat() ?? [];
  return (
    <div className="mx-auto grid w-full max-w-3xl gap-4 p-4 sm:p-6 lg:overflow-y-auto">
      <h2 className="text-2xl font-bold">{t("review.log")}</h2>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data && entries.length === 0 ? <p className="text-soft">{t("review.logNone")}</p> : null}
      <ol className="grid gap-3" data-testid="log-entries">
        {entries.map(({ entryId, caseId, ...entry }) => (
          <li key={entryId} className="flex items-start gap-3 rounded-xl border border-line bg-surface p-3">
            <div className="min-w-0 flex-1">
              <Done {...entry} />
            </div>
            {caseId ? (
              <Link
                to={`/review/cases/${caseId}`}
                className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
              >
                {t("review.ban.case")}
              </Link>
            ) : null}
          </li>
        ))}
      </ol>
      {hasNextPage ? (
        <Button tone="plain" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {t("review.more")}
        </Button>
      ) : null}
    </div>
  );
}
