import type { Declining, DirectRequest } from "@parlor/sdk";
import { useMutation } from "@tanstack/react-query";
import { ArrowLeft } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { Check, Disc } from "../hub/fields.tsx";
import { Hub } from "../hub/Hub.tsx";
import { titleOf, useInbox } from "../hub/hooks.ts";
import { Enter } from "../pages/Enter.tsx";
import { NotHere } from "../place/Brand.tsx";
import { isOn } from "../place/place.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Dialog, Spinner } from "../ui.tsx";
import { whenOf } from "./Messages.tsx";

/** `/messages/requests`: what strangers wrote. They see nothing of us before we accept. */
export function Requests() {
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <List /> : <Enter />;
}

function List() {
  const { t } = useTranslation();
  const { ready, requests } = useInbox();
  const all = useMutation({
    mutationFn: () => parlor.direct.declineAll(),
    onSettled: () => parlor.inbox.refresh().catch(() => undefined),
  });
  if (!isOn("directMessages"))
    return (
      <Hub title={t("direct.requests")}>
        <NotHere />
      </Hub>
    );
  return (
    <Hub title={t("direct.requests")}>
      <Back />
      <div className="mb-5 flex flex-wrap items-center gap-2">
        <h1 className="mr-auto text-3xl font-bold">{t("direct.requests")}</h1>
        {requests.length > 1 ? (
          <Button
            tone="plain"
            onClick={() => all.mutate()}
            disabled={all.isPending}
            data-testid="decline-all"
          >
            {t("direct.declineAll")}
          </Button>
        ) : null}
      </div>
      <p className="mb-5 text-soft">{t("direct.requestsHint")}</p>
      {all.error ? <Alert>{sentence(all.error)}</Alert> : null}
      {ready ? null : <Spinner />}
      {ready && requests.length === 0 ? (
        <p className="rounded-2xl border border-dashed border-line p-8 text-center text-soft">
          {t("direct.noRequests")}
        </p>
      ) : null}
      <ul className="grid grid-cols-1 gap-4">
        {requests.map((request) => (
          <Item key={request.room.id} request={request} />
        ))}
      </ul>
    </Hub>
  );
}

function Item({ request }: { request: DirectRequest }) {
  const { t, i18n } = useTranslation();
  const { user } = useSession();
  const navigate = useNavigate();
  const [declining, setDeclining] = useState(false);
  const { room, people, from, messages } = request;
  const asker = people.find(({ userId }) => userId === from)?.nickname ?? "";
  const title = room.kind === "groupDm" ? titleOf(request, user?.id) : asker;
  const accept = useMutation({
    mutationFn: () => parlor.direct.accept(room.id),
    onSuccess: async () => {
      await parlor.inbox.refresh().catch(() => undefined);
      await navigate(`/r/${room.id}`);
    },
  });
  return (
    <li
      className="grid grid-cols-1 gap-3 rounded-2xl border border-line bg-surface p-4 shadow-sm"
      data-testid="request"
      data-nickname={asker}
    >
      <div className="flex items-center gap-3">
        <Disc name={title} size="size-11" />
        <h2 className="min-w-0 flex-1 truncate font-semibold">{title}</h2>
        <time dateTime={request.stirredAt} className="text-sm text-soft">
          {whenOf(request.stirredAt, i18n.language)}
        </time>
      </div>
      <ul className="grid grid-cols-1 gap-1">
        {[...messages].reverse().map(({ id, content }) => (
          <li key={id} className="w-fit max-w-full rounded-xl bg-sunken px-3 py-2 wrap-anywhere">
            {content.text}
          </li>
        ))}
      </ul>
      {accept.error ? <Alert>{sentence(accept.error)}</Alert> : null}
      <div className="flex flex-wrap gap-2">
        <Button
          onClick={() => accept.mutate()}
          disabled={accept.isPending}
          aria-label={t("direct.acceptOf", { name: asker })}
          data-testid="accept-request"
        >
          {t("direct.accept")}
        </Button>
        <Button
          tone="plain"
          onClick={() => setDeclining(true)}
          aria-label={t("direct.declineOf", { name: asker })}
          data-testid="decline-request"
        >
          {t("direct.decline")}
        </Button>
      </div>
      {declining ? <Decline roomId={room.id} name={asker} onClose={() => setDeclining(false)} /> : null}
    </li>
  );
}

function Decline({ roomId, name, onClose }: { roomId: string; name: string; onClose: () => void }) {
  const { t } = useTranslation();
  const [block, setBlock] = useState(false);
  const [spam, setSpam] = useState(false);
  const decline = useMutation({
    mutationFn: () => {
      const also: Declining = { block, ...(spam ? { report: { reason: "spam" } } : {}) };
      return parlor.direct.decline(roomId, also);
    },
    onSuccess: async () => {
      await parlor.inbox.refresh().catch(() => undefined);
      onClose();
    },
  });
  return (
    <Dialog title={t("direct.declineTitle", { name })} onClose={onClose}>
      <div className="grid gap-3">
        <p>{t("direct.declineHint", { name })}</p>
        <Check
          label={t("direct.alsoBlock", { name })}
          on={block}
          onChange={setBlock}
          testId="decline-block"
        />
        {isOn("moderation") ? (
          <Check label={t("direct.alsoReport")} on={spam} onChange={setSpam} testId="decline-report" />
        ) : null}
        {decline.error ? <Alert>{sentence(decline.error)}</Alert> : null}
        <div className="flex justify-end gap-2">
          <Button tone="plain" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button
            tone="danger"
            onClick={() => decline.mutate()}
            disabled={decline.isPending}
            data-testid="decline-confirm"
          >
            {t("direct.decline")}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

/** The way back to the conversations. */
export function Back() {
  const { t } = useTranslation();
  return (
    <Link
      to="/messages"
      className="mb-2 inline-flex min-h-11 items-center gap-2 font-medium text-accent hover:underline"
    >
      <ArrowLeft aria-hidden className="size-4" />
      {t("direct.title")}
    </Link>
  );
}
