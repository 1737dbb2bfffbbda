import type { Ban } from "@parlor/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { sentence } from "../errors.ts";
import { Alert, Button, Dialog, Field, Spinner } from "../ui.tsx";
import { desk, useBans } from "./desk.ts";
import { BanTimes } from "./Past.tsx";

/** The bans in force, each of which can be lifted. */
export function Bans() {
  const { t } = useTranslation();
  const { data, error, isPending } = useBans();
  const [lifting, setLifting] = useState<Ban | null>(null);
  return (
    <div className="mx-auto grid w-full max-w-3xl gap-4 p-4 sm:p-6 lg:overflow-y-auto">
      <h2 className="text-2xl font-bold">{t("review.bans")}</h2>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data?.length === 0 ? <p className="text-soft">{t("review.ban.none")}</p> : null}
      <ul className="grid gap-3">
        {data?.map((ban) => (
          <li
            key={ban.banId}
            className="flex flex-wrap items-center gap-3 rounded-xl border border-line bg-surface p-3"
            data-testid="ban"
            data-nickname={ban.user.nickname}
          >
            <div className="min-w-0 flex-1 basis-48 wrap-anywhere">
              <h3 className="font-semibold">{ban.user.nickname}</h3>
              <p>{ban.reason}</p>
              <p>
                <BanTimes ban={ban} />
              </p>
            </div>
            {ban.caseId ? (
              <Link
                to={`/review/cases/${ban.caseId}`}
                className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
              >
                {t("review.ban.case")}
              </Link>
            ) : null}
            <Button
              tone="plain"
              aria-label={t("review.ban.liftOf", { name: ban.user.nickname })}
              onClick={() => setLifting(ban)}
              data-testid="lift"
            >
              {t("review.ban.lift")}
            </Button>
          </li>
        ))}
      </ul>
      {lifting ? <LiftDialog ban={lifting} onClose={() => setLifting(null)} /> : null}
    </div>
  );
}

function LiftDialog({ ban, onClose }: { ban: Ban; onClose: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [reason, setReason] = useState("");
  const [incomplete, setIncomplete] = useState(false);
  const lift = useMutation({
    mutationFn: () => desk.liftBan(ban.banId, reason.trim()),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["review"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setIncomplete(!reason.trim());
    if (reason.trim()) lift.mutate();
  };
  return (
    <Dialog title={t("review.ban.liftTitle", { name: ban.user.nickname })} onClose={onClose}>
      <form onSubmit={submit} noValidate className="grid gap-5">
        <Field
          label={t("review.decide.reason")}
          value={reason}
          maxLength={500}
          error={incomplete ? t("review.decide.reasonNeeded") : undefined}
          onChange={(event) => setReason(event.target.value)}
          data-testid="lift-reason"
        />
        {lift.error ? <Alert>{sentence(lift.error)}</Alert> : null}
        <div className="flex justify-end gap-2">
          <Button tone="plain" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" disabled={lift.isPending} data-testid="lift-confirm">
            {t("review.ban.liftConfirm")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
