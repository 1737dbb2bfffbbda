import { REPORT_REASONS, type ReportReason } from "@parlor/sdk";
import { useMutation } from "@tanstack/react-query";
import { CircleCheck } from "lucide-react";
import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { useBlocking } from "./blocks.ts";
import type { ReportTarget } from "./Safety.tsx";

/** The server's limit, in Unicode scalars. */
const LONGEST = 500;
/** Long enough to be read, short enough not to be in the way. */
const THANKS_MS = 2_000;

interface ReportDialogProps {
  target: ReportTarget;
  onReported: () => void;
  onBlocked: () => void;
  onClose: () => void;
}

export function ReportDialog({ target, onReported, onBlocked, onClose }: ReportDialogProps) {
  const { t } = useTranslation();
  const setBlocked = useBlocking();
  const name = target.nickname;
  const send = useMutation({
    mutationFn: async ({ block, ...report }: Draft) => {
      const { messageId, userId, roomId } = target;
      await parlor.api.report({
        targetType: messageId ? "message" : "user",
        targetId: messageId ?? userId,
        roomId,
        ...report,
      });
      onReported();
      if (!block) return null;
      // The report stands, whatever becomes of the block.
      try {
        await setBlocked(userId, true);
      } catch (error) {
        return t("safety.notBlocked", { name, reason: sentence(error) });
      }
      onBlocked();
      return null;
    },
  });

  return (
    <Dialog
      title={t(target.messageId ? "safety.reportMessageTitle" : "safety.reportTitle", { name })}
      onClose={onClose}
    >
      {/* There before it has something to say, so that it is read out. */}
      <div role="status">{send.isSuccess ? <Thanks problem={send.data} onClose={onClose} /> : null}</div>
      {send.isSuccess ? null : (
        <ReportForm
          name={name}
          busy={send.isPending}
          problem={send.error ? sentence(send.error) : null}
          onSend={(draft) => send.mutate(draft)}
          onClose={onClose}
        />
      )}
    </Dialog>
  );
}

/** Goes away by itself. */
function Thanks({ problem, onClose }: { problem: string | null; onClose: () => void }) {
  const { t } = useTranslation();
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    // A problem is read for as long as it takes.
    if (problem) return;
    const timer = setTimeout(() => close.current(), THANKS_MS);
    return () => clearTimeout(timer);
  }, [problem]);
  return (
    <div className="grid gap-4">
      <p className="flex items-center gap-3" data-testid="report-done">
        <CircleCheck aria-hidden className="size-6 shrink-0 text-accent" />
        {t("safety.thanks")}
      </p>
      {problem ? <Alert>{problem}</Alert> : null}
    </div>
  );
}

interface Draft {
  reason: ReportReason;
  description?: string;
  block: boolean;
}

interface ReportFormProps {
  name: string;
  busy: boolean;
  problem: string | null;
  onSend: (draft: Draft) => void;
  onClose: () => void;
}

function ReportForm({ name, busy, problem, onSend, onClose }: ReportFormProps) {
  const { t } = useTranslation();
  const [reason, setReason] = useState<ReportReason | null>(null);
  const [description, setDescription] = useState("");
  const [block, setBlock] = useState(false);
  const [missing, setMissing] = useState<"reason" | "description" | null>(null);
  const described = reason === "harassment" || reason === "other";
  const form = useRef<HTMLFormElement>(null);
  const id = useId();

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const words = described ? description.trim() : "";
    const found = !reason ? "reason" : reason === "other" && !words ? "description" : null;
    setMissing(found);
    if (found) form.current?.querySelector<HTMLElement>(found === "reason" ? "input" : "textarea")?.focus();
    else if (reason) onSend({ reason, block, ...(words ? { description: words } : {}) });
  };

  return (
    <form ref={form} onSubmit={submit} noValidate className="grid gap-4">
      <fieldset aria-describedby={missing === "reason" ? `${id}-missing` : undefined}>
        <legend className="mb-2">{t("safety.reportIntro", { name })}</legend>
        {missing === "reason" ? (
          <p id={`${id}-missing`} role="alert" className="text-danger-ink">
            {t("safety.needReason")}
          </p>
        ) : null}
        {REPORT_REASONS.map((value) => (
          <div key={value} className="rounded-lg has-[input:checked]:bg-tint">
            <label className="flex min-h-11 items-center gap-3 rounded-lg px-2 hover:bg-sunken">
              <input
                type="radio"
                name="reason"
                className="size-5 shrink-0 accent-accent"
                checked={reason === value}
                onChange={() => {
                  setReason(value);
                  setMissing(null);
                }}
                data-testid={`report-reason-${value}`}
              />
              {t(`safety.reasons.${value}`)}
            </label>
            {reason === value && value === "selfHarm" ? (
              <p role="status" className="px-10 pb-2 text-sm">
                {t("safety.selfHarmHint")}
              </p>
            ) : null}
            {reason === value && described ? (
              <Description
                value={description}
                missing={missing === "description"}
                onChange={setDescription}
              />
            ) : null}
          </div>
        ))}
      </fieldset>
      <label className="flex min-h-11 items-center gap-3 px-2">
        <input
          type="checkbox"
          className="size-5 shrink-0 accent-accent"
          checked={block}
          onChange={(event) => setBlock(event.target.checked)}
          data-testid="report-block"
        />
        <span className="min-w-0 wrap-anywhere">{t("safety.alsoBlock", { name })}</span>
      </label>
      {problem ? <Alert>{problem}</Alert> : null}
      <div className="sticky -bottom-5 -mx-5 -mb-5 flex justify-end gap-2 border-t border-line bg-surface px-5 py-3">
        <Button tone="plain" onClick={onClose}>
          {t("common.cancel")}
        </Button>
        <Button type="submit" tone="danger" disabled={busy} data-testid="report-submit">
          {t("safety.submit")}
        </Button>
      </div>
    </form>
  );
}

function Description({
  value,
  missing,
  onChange,
}: {
  value: string;
  missing: boolean;
  onChange: (value: string) => void;
}) {
  const { t } = useTranslation();
  const id = useId();
  const left = LONGEST - [...value].length;
  return (
    <div className="grid gap-1 px-2 pb-2">
      <label htmlFor={id} className="font-medium">
        {t("safety.description")}
      </label>
      <textarea
        id={id}
        rows={3}
        className="field"
        value={value}
        aria-invalid={missing || undefined}
        aria-describedby={`${id}-note`}
        onChange={(event) => onChange([...event.target.value].slice(0, LONGEST).join(""))}
        data-testid="report-description"
      />
      <p id={`${id}-note`} className={`text-sm ${missing ? "text-danger-ink" : "text-soft"}`}>
        {missing ? t("safety.needDescription") : t("safety.descriptionHint", { count: left })}
      </p>
    </div>
  );
}
