import type { Invite } from "@parlor/sdk";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Link2, Check as Tick, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Choice } from "../hub/fields.tsx";
import { parlor } from "../session.tsx";
import { Alert, Button, IconButton, Spinner } from "../ui.tsx";
import type { PanelProps } from "./Drawer.tsx";
import { inSeconds, SPANS, type Span } from "./words.ts";

const USES = ["", "1", "5", "25", "100"] as const;

/** Links by which others come in: to make, to copy once, to revoke. */
export function InvitesPanel({ room, onNotice }: PanelProps) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const key = ["invites", room.id];
  const [span, setSpan] = useState<Span | "">("week");
  const [uses, setUses] = useState<string>("");
  const { data, error, isPending } = useQuery({
    queryKey: key,
    queryFn: () => parlor.invites.list(room.id),
  });
  const refresh = () => queries.invalidateQueries({ queryKey: key });
  const make = useMutation({
    mutationFn: () =>
      parlor.invites.make(room.id, {
        ...(span ? { expiresAt: inSeconds(SPANS[span]) } : {}),
        ...(uses ? { maxUses: Number(uses) } : {}),
      }),
    onSuccess: refresh,
  });
  const revoke = useMutation({
    mutationFn: (invite: Invite) => parlor.invites.revoke(room.id, invite.inviteId),
    onSuccess: async () => {
      onNotice(t("rooms.revoked"));
      await refresh();
    },
  });
  const problem = error ?? make.error ?? revoke.error;
  return (
    <div className="grid gap-5">
      <div className="grid grid-cols-2 gap-3">
        <Choice
          label={t("rooms.inviteExpires")}
          value={span}
          options={[
            ["hour", t("rooms.span.hour")],
            ["day", t("rooms.span.day")],
            ["week", t("rooms.span.week")],
            ["fourWeeks", t("rooms.span.fourWeeks")],
            ["", t("rooms.never")],
          ]}
          onChange={setSpan}
          testId="invite-span"
        />
        <Choice
          label={t("rooms.inviteUses")}
          value={uses}
          options={USES.map(
            (it) => [it, it ? t("rooms.uses", { count: Number(it) }) : t("rooms.anyUses")] as const,
          )}
          onChange={setUses}
          testId="invite-uses"
        />
        <Button
          className="col-span-2"
          onClick={() => make.mutate()}
          disabled={make.isPending}
          data-testid="invite-make"
        >
          <Link2 aria-hidden className="size-5" />
          {t("rooms.inviteMake")}
        </Button>
      </div>
      {problem ? <Alert>{sentence(problem)}</Alert> : null}
      <div role="status">{make.data ? <Made code={make.data.code} key={make.data.code} /> : null}</div>
      {isPending ? <Spinner /> : null}
      {data?.length === 0 ? <p className="text-sm text-soft">{t("rooms.noInvites")}</p> : null}
      <ul className="grid gap-1">
        {data?.map((invite) => (
          <Item key={invite.inviteId} invite={invite} onRevoke={() => revoke.mutate(invite)} />
        ))}
      </ul>
    </div>
  );
}

/** The link itself is told once. */
function Made({ code }: { code: string }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  const link = `${location.origin}/invite/${code}`;
  const copy = async () => {
    await navigator.clipboard?.writeText(link).then(
      () => setCopied(true),
      () => undefined,
    );
  };
  return (
    <div className="grid gap-2 rounded-xl bg-tint p-3">
      <p className="text-sm">{t("rooms.inviteOnce")}</p>
      <div className="flex items-center gap-2">
        <input
          readOnly
          aria-label={t("rooms.inviteLink")}
          className="field font-mono text-sm"
          value={link}
          onFocus={(event) => event.target.select()}
          data-testid="invite-link"
        />
        <IconButton
          tone="accent"
          label={t(copied ? "call.copied" : "call.copyLink")}
          onClick={() => void copy()}
          data-testid="invite-copy"
        >
          {copied ? <Tick aria-hidden className="size-5" /> : <Copy aria-hidden className="size-5" />}
        </IconButton>
      </div>
    </div>
  );
}

function Item({ invite, onRevoke }: { invite: Invite; onRevoke: () => void }) {
  const { t, i18n } = useTranslation();
  const when = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
  const { createdBy, expiresAt, maxUses, uses } = invite;
  return (
    <li className="flex items-center gap-2 rounded-xl border border-line p-3" data-testid="invite">
      <p className="min-w-0 flex-1 text-sm">
        <span className="block truncate font-medium">
          {t("rooms.inviteBy", { name: createdBy.nickname })}
        </span>
        <span className="block text-soft">
          {maxUses === null
            ? t("rooms.used", { count: uses })
            : t("rooms.usedOf", { count: uses, most: maxUses })}
          {" · "}
          {expiresAt ? t("rooms.until", { when: when.format(new Date(expiresAt)) }) : t("rooms.untilRevoked")}
        </span>
      </p>
      <IconButton label={t("rooms.revoke")} onClick={onRevoke} data-testid="invite-revoke">
        <Trash2 aria-hidden className="size-5 text-danger-ink" />
      </IconButton>
    </li>
  );
}
