import { type NewStreamKey, type StreamKey, StreamKeys, type StreamKind } from "@parlor/sdk";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Trash2 } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Field, IconButton } from "../ui.tsx";

const KINDS = ["publish", "watch"] as const satisfies StreamKind[];

/** The keys with which programs publish into this room and watch it: made, shown once, and revoked. */
export function StreamKeysPanel({ roomId }: { roomId: string }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const keys = useMemo(() => new StreamKeys(parlor.api, roomId), [roomId]);
  const [made, setMade] = useState<NewStreamKey | null>(null);
  const queryKey = ["streamKeys", roomId];
  const known = useQuery({ queryKey, queryFn: () => keys.list() });
  const refresh = () => void queries.invalidateQueries({ queryKey });
  const create = useMutation({
    mutationFn: ({ name, kind }: { name: string; kind: StreamKind }) => keys.create(name, kind),
    onSuccess: (key) => {
      setMade(key);
      refresh();
    },
  });
  const revoke = useMutation({
    mutationFn: (keyId: string) => keys.revoke(keyId),
    onSuccess: (_, keyId) => {
      if (made?.keyId === keyId) setMade(null);
      refresh();
    },
  });
  const problem = create.error ?? revoke.error ?? known.error;
  return (
    <section
      aria-label={t("streams.title")}
      className="grid gap-3 border-b border-line py-4"
      data-testid="stream-keys"
    >
      <h3 className="font-semibold">{t("streams.title")}</h3>
      <p className="text-sm text-soft">{t("streams.hint")}</p>
      <NewKey busy={create.isPending} onCreate={(name, kind) => create.mutate({ name, kind })} />
      {problem ? <Alert>{sentence(problem)}</Alert> : null}
      {made ? <Made made={made} /> : null}
      <ul>
        {(known.data ?? []).map((key) => (
          <KeyItem key={key.keyId} streamKey={key} onRevoke={() => revoke.mutate(key.keyId)} />
        ))}
      </ul>
    </section>
  );
}

function NewKey({ busy, onCreate }: { busy: boolean; onCreate: (name: string, kind: StreamKind) => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const [kind, setKind] = useState<StreamKind>("publish");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!name.trim()) return;
    onCreate(name.trim(), kind);
    setName("");
  };
  return (
    <form onSubmit={submit} className="grid gap-2">
      <Field
        label={t("streams.name")}
        value={name}
        maxLength={50}
        onChange={(event) => setName(event.target.value)}
        data-testid="stream-key-name"
      />
      <fieldset className="flex flex-wrap gap-x-4">
        <legend className="sr-only">{t("streams.kind")}</legend>
        {KINDS.map((value) => (
          <label key={value} className="flex min-h-11 items-center gap-2">
            <input
              type="radio"
              name="stream-kind"
              className="size-5 accent-accent"
              checked={kind === value}
              onChange={() => setKind(value)}
              data-testid={`stream-kind-${value}`}
            />
            {t(`streams.${value}`)}
          </label>
        ))}
      </fieldset>
      <Button type="submit" tone="plain" disabled={!name.trim() || busy} data-testid="stream-key-create">
        {t("streams.create")}
      </Button>
    </form>
  );
}

/** Shown until the page is left: nobody is told a second time. */
function Made({ made }: { made: NewStreamKey }) {
  const { t } = useTranslation();
  return (
    <div className="grid gap-2 rounded-xl bg-tint p-3" data-testid="stream-key-made">
      <p className="text-sm">{t("streams.once")}</p>
      <Copied
        label={t("streams.address")}
        text={new URL(made.path, location.href).href}
        testId="stream-key-url"
      />
      <Copied label={t("streams.secret")} text={made.secret} testId="stream-key-secret" />
    </div>
  );
}

function Copied({ label, text, testId }: { label: string; text: string; testId: string }) {
  const { t } = useTranslation();
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    setDone(true);
  };
  return (
    <div className="flex items-center gap-1">
      <p className="min-w-0 flex-1">
        <span className="block text-sm font-medium">{label}</span>
        <code className="block text-sm wrap-anywhere" data-testid={testId}>
          {text}
        </code>
      </p>
      <IconButton
        label={t(done ? "streams.copied" : "streams.copy", { what: label })}
        onClick={() => void copy()}
      >
        <Copy aria-hidden className="size-5" />
      </IconButton>
    </div>
  );
}

function KeyItem({ streamKey, onRevoke }: { streamKey: StreamKey; onRevoke: () => void }) {
  const { t } = useTranslation();
  const { name, kind, inUse } = streamKey;
  return (
    <li className="flex min-h-12 items-center gap-1" data-testid="stream-key" data-name={name}>
      <p className="min-w-0 flex-1">
        <span className="block truncate">{name}</span>
        <span className="block text-sm text-soft">
          {t(`streams.${kind}`)} · {t("streams.inUse", { count: inUse })}
        </span>
      </p>
      <IconButton label={t("streams.revoke", { name })} onClick={onRevoke} data-testid="stream-key-revoke">
        <Trash2 aria-hidden className="size-5" />
      </IconButton>
    </li>
  );
}
