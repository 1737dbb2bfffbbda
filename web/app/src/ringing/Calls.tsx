import type { CallRecord } from "@parlor/sdk";
import { PhoneIncoming, PhoneMissed, PhoneOutgoing, Video } from "lucide-react";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { sentence } from "../errors.ts";
import { Hub } from "../hub/Hub.tsx";
import { isMissed, useCalls, useMissed } from "../hub/hooks.ts";
import { Enter } from "../pages/Enter.tsx";
import { useSession } from "../session.tsx";
import { Alert, Spinner } from "../ui.tsx";

/** `/calls`: whom one called and who called, the latest first. */
export function Calls() {
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <List /> : <Enter />;
}

function List() {
  const { t } = useTranslation();
  const { data, error, isPending } = useCalls();
  const { see } = useMissed();
  useEffect(() => see(), [see]);
  return (
    <Hub title={t("ringing.title")}>
      <h1 className="mb-5 text-3xl font-bold">{t("ringing.title")}</h1>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data?.items.length === 0 ? (
        <p className="rounded-2xl border border-dashed border-line p-8 text-center text-soft">
          {t("ringing.none")}
        </p>
      ) : null}
      <ul className="grid grid-cols-1 gap-1">
        {data?.items.map((call) => (
          <Item key={call.callId} call={call} />
        ))}
      </ul>
    </Hub>
  );
}

function Item({ call }: { call: CallRecord }) {
  const { t, i18n } = useTranslation();
  const { user } = useSession();
  const when = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
  const mine = call.initiator.id === user?.id;
  const missed = isMissed(call, user?.id);
  const people = mine
    ? call.participants.filter(({ userId }) => userId !== user?.id).map(({ nickname }) => nickname)
    : [call.initiator.nickname];
  const Icon = missed ? PhoneMissed : mine ? PhoneOutgoing : PhoneIncoming;
  const own = call.participants.find(({ userId }) => userId === user?.id)?.state;
  const words = mine
    ? t(`ringing.made.${call.outcome ?? "answered"}`)
    : t(`ringing.got.${own === "ringing" || own === undefined ? "missed" : own}`);
  return (
    <li>
      <Link
        to={`/r/${call.roomId}`}
        className="flex min-h-14 items-center gap-4 rounded-2xl px-3 py-2 hover:bg-sunken"
        data-testid="past-call"
        data-missed={missed}
        data-outcome={call.outcome ?? "running"}
      >
        <Icon aria-hidden className={`size-5 shrink-0 ${missed ? "text-danger-ink" : "text-accent"}`} />
        <span className="min-w-0 flex-1">
          <span className={`block truncate font-semibold ${missed ? "text-danger-ink" : ""}`}>
            {people.join(", ")}
          </span>
          <span className="block text-sm text-soft">
            {words} · {when.format(new Date(call.startedAt))}
          </span>
        </span>
        {call.type === "video" ? (
          <>
            <Video aria-hidden className="size-5 text-soft" />
            <span className="sr-only">{t("ringing.wasVideo")}</span>
          </>
        ) : null}
      </Link>
    </li>
  );
}
