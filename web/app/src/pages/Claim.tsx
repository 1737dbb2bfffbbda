import { useMutation } from "@tanstack/react-query";
import { ShieldCheck } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { sentence } from "../errors.ts";
import { useSession } from "../session.tsx";
import { Alert, Button, Page, Spinner } from "../ui.tsx";
import { Enter } from "./Enter.tsx";

/** The administrator's link, printed by the server at its first start. */
export function Claim() {
  const { t } = useTranslation();
  const { secret = "" } = useParams();
  const { status, claim } = useSession();
  const redeem = useMutation({ mutationFn: () => claim(secret) });
  if (status === "loading") return <Spinner />;
  if (status === "out") return <Enter />;
  return (
    <Page title={t("claim.title")}>
      <div className="mx-auto grid max-w-md justify-items-start gap-4 rounded-2xl border border-line bg-surface p-6 shadow-sm">
        <ShieldCheck aria-hidden className="size-10 text-accent" />
        <h1 className="text-2xl font-bold">{t("claim.title")}</h1>
        {redeem.isSuccess ? (
          <>
            <p role="status" data-testid="claimed">
              {t("claim.done")}
            </p>
            <Link
              to="/"
              className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
            >
              {t("common.back")}
            </Link>
          </>
        ) : (
          <>
            <p className="text-soft">{t("claim.intro")}</p>
            {redeem.error ? <Alert>{sentence(redeem.error)}</Alert> : null}
            <Button onClick={() => redeem.mutate()} disabled={redeem.isPending} data-testid="claim">
              {t("claim.submit")}
            </Button>
          </>
        )}
      </div>
    </Page>
  );
}
