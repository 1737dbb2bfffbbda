import { Keyboard } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { Enter } from "../pages/Enter.tsx";
import { DeadEnd } from "../pages/NotFound.tsx";
import { Logo, useName } from "../place/Brand.tsx";
import { useSession } from "../session.tsx";
import { IconButton, Spinner, useTitle } from "../ui.tsx";
import { Bans } from "./Bans.tsx";
import { CaseList } from "./CaseList.tsx";
import { CaseView } from "./CaseView.tsx";
import { useCases } from "./desk.ts";
import { KeysDialog } from "./KeysDialog.tsx";
import { useKeys } from "./keys.ts";
import { Log } from "./Log.tsx";
import { SamplingBanner } from "./SamplingBanner.tsx";

/** `/review`, `/review/cases/ID`, `/review/bans` and `/review/log`. */
export function ReviewPage() {
  const { status, user } = useSession();
  if (status === "loading") return <Spinner />;
  if (status === "out" || !user) return <Enter />;
  return user.role === "member" ? <NotForYou /> : <Desk />;
}

function NotForYou() {
  const { t } = useTranslation();
  return <DeadEnd testId="not-for-you" title={t("review.notForYou")} text={t("review.notForYouText")} />;
}

function Desk() {
  const { t } = useTranslation();
  const path = useParams()["*"] ?? "";
  const [helping, setHelping] = useState(false);
  const open = useCases("open").data?.pages[0]?.open ?? 0;
  const [, caseId] = /^cases\/([^/]+)$/.exec(path) ?? [];
  useTitle(open > 0 ? `(${open}) ${t("review.title")}` : t("review.title"));
  useKeys({ "?": () => setHelping(true) });

  return (
    <div className="flex min-h-full flex-col lg:h-dvh">
      <header className="border-b border-line bg-surface">
        <div className="flex flex-wrap items-center gap-x-4 px-4 py-2">
          <Link to="/" className="flex min-h-11 items-center gap-2 text-xl font-bold">
            <Logo className="size-8" />
            {useName()}
          </Link>
          <h1 className="sr-only">{t("review.title")}</h1>
          <nav aria-label={t("review.nav")} className="order-1 flex w-full gap-1 sm:order-none sm:w-auto">
            <Tab to="/review" current={path === "" || caseId !== undefined} data-testid="tab-cases">
              <span aria-hidden>{t("review.cases")}</span>
              <span className="sr-only">{t("review.casesOpen", { count: open })}</span>
              <span
                aria-hidden
                data-testid="open-count"
                className="rounded-full bg-ink px-2 text-sm leading-6 text-ground"
              >
                {open}
              </span>
            </Tab>
            <Tab to="/review/bans" current={path === "bans"} data-testid="tab-bans">
              {t("review.bans")}
            </Tab>
            <Tab to="/review/log" current={path === "log"} data-testid="tab-log">
              {t("review.log")}
            </Tab>
          </nav>
          <IconButton
            label={t("review.keys.show")}
            onClick={() => setHelping(true)}
            className="ml-auto"
            data-testid="keys"
          >
            <Keyboard aria-hidden className="size-5" />
          </IconButton>
        </div>
      </header>
      <SamplingBanner />
      <main id="content" className="flex min-h-0 flex-1 flex-col">
        {path === "bans" ? <Bans /> : path === "log" ? <Log /> : <Cases caseId={caseId ?? null} />}
      </main>
      {helping ? <KeysDialog onClose={() => setHelping(false)} /> : null}
    </div>
  );
}

/** The list and a case beside it; on a narrow page one of the two. */
function Cases({ caseId }: { caseId: string | null }) {
  const { t } = useTranslation();
  return (
    <div className="grid min-h-0 flex-1 lg:grid-cols-[24rem_minmax(0,1fr)]">
      <div
        className={`min-h-0 overflow-y-auto border-line bg-surface lg:block lg:border-r ${caseId ? "hidden" : ""}`}
      >
        <CaseList openId={caseId} />
      </div>
      <div className={`min-h-0 overflow-y-auto lg:block ${caseId ? "" : "hidden"}`}>
        {caseId ? (
          <CaseView key={caseId} caseId={caseId} />
        ) : (
          <p className="grid h-full place-items-center p-8 text-center text-soft">{t("review.choose")}</p>
        )}
      </div>
    </div>
  );
}

function Tab({
  to,
  current,
  children,
  ...rest
}: {
  to: string;
  current: boolean;
  children: ReactNode;
  "data-testid": string;
}) {
  return (
    <Link
      to={to}
      aria-current={current ? "page" : undefined}
      className="flex min-h-11 items-center gap-2 rounded-xl px-3 font-semibold hover:bg-sunken aria-[current=page]:bg-tint"
      {...rest}
    >
      {children}
    </Link>
  );
}
