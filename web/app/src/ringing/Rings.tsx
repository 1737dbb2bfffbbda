import type { CallRecord } from "@parlor/sdk";
import { Phone, PhoneOff, Video } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import { useRinging } from "../hub/hooks.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { startCall, takeStarted } from "./start.ts";
import { ring, type Tone } from "./tone.ts";

/** Calls that ring, in and out, wherever on the page one is. */
export function Rings() {
  const { user } = useSession();
  const navigate = useNavigate();
  const { incoming, outgoing } = useRinging();
  // What one does not want to hear of any more on this device.
  const [hushed, setHushed] = useState<readonly string[]>([]);
  const [over, setOver] = useState<CallRecord | null>(null);
  const called = incoming.find(({ callId }) => !hushed.includes(callId)) ?? null;
  const me = user?.id;

  useEffect(
    () =>
      parlor.ringing.on("call", (call) => {
        const answered = call.answeredAt !== null && call.outcome === null;
        if (answered && takeStarted(call.roomId))
          void navigate(`/r/${call.roomId}/call`, { state: { type: call.type } });
        else if (call.outcome !== null && call.answeredAt === null && takeStarted(call.roomId)) {
          if (call.outcome !== "canceled" && call.initiator.id === me) setOver(call);
        }
      }),
    [navigate, me],
  );

  if (called)
    return (
      <Incoming
        key={called.callId}
        call={called}
        onHush={() => setHushed((before) => [...before, called.callId])}
      />
    );
  if (outgoing) return <Outgoing key={outgoing.callId} call={outgoing} />;
  if (over) return <Over call={over} onClose={() => setOver(null)} />;
  return null;
}

function useTone(tone: Tone): void {
  useEffect(() => ring(tone), [tone]);
}

function Incoming({ call, onHush }: { call: CallRecord; onHush: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [problem, setProblem] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const name = call.initiator.nickname;
  useTone("incoming");
  const accept = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await parlor.ringing.accept(call.callId);
      await navigate(`/r/${call.roomId}/call`, { state: { type: call.type } });
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  const decline = () => {
    onHush();
    void parlor.ringing.decline(call.callId).catch(() => undefined);
  };
  return (
    <Dialog title={t(`ringing.incoming.${call.type}`)} onClose={onHush}>
      <div className="grid justify-items-center gap-5 text-center" data-testid="incoming">
        <span className="motion-safe:animate-pulse">
          <Disc name={name} size="size-20 text-3xl!" />
        </span>
        <p className="text-xl font-semibold wrap-anywhere">{t("ringing.calls", { name })}</p>
        {call.participants.length > 1 ? (
          <p className="text-soft">{t("ringing.withOthers", { count: call.participants.length - 1 })}</p>
        ) : null}
        {problem ? <Alert>{sentence(problem)}</Alert> : null}
        <div className="grid w-full grid-cols-2 gap-3">
          <Button tone="danger" className="min-h-14" onClick={decline} data-testid="decline-call">
            <PhoneOff aria-hidden className="size-5" />
            {t("ringing.decline")}
          </Button>
          <Button
            className="min-h-14"
            disabled={busy}
            onClick={() => void accept()}
            data-testid="accept-call"
          >
            {call.type === "video" ? (
              <Video aria-hidden className="size-5" />
            ) : (
              <Phone aria-hidden className="size-5" />
            )}
            {t("ringing.accept")}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

function Outgoing({ call }: { call: CallRecord }) {
  const { t } = useTranslation();
  useTone("outgoing");
  const names = call.participants.map(({ nickname }) => nickname).join(", ");
  const cancel = () => void parlor.ringing.cancel(call.callId).catch(() => undefined);
  return (
    <Dialog title={t(`ringing.outgoing.${call.type}`)} onClose={cancel}>
      <div className="grid justify-items-center gap-5 text-center" data-testid="outgoing">
        <span className="motion-safe:animate-pulse">
          <Disc name={names} size="size-20 text-3xl!" />
        </span>
        <p className="text-xl font-semibold wrap-anywhere" role="status">
          {t("ringing.calling", { names })}
        </p>
        {call.participants.length > 1 ? (
          <ul className="grid w-full gap-1 text-left">
            {call.participants.map(({ userId, nickname, state }) => (
              <li key={userId} className="flex justify-between gap-3">
                <span className="truncate">{nickname}</span>
                <span className="text-soft">{t(`ringing.state.${state}`)}</span>
              </li>
            ))}
          </ul>
        ) : null}
        <Button tone="danger" className="min-h-14 w-full" onClick={cancel} data-testid="cancel-call">
          <PhoneOff aria-hidden className="size-5" />
          {t("ringing.cancel")}
        </Button>
      </div>
    </Dialog>
  );
}

/** Nobody came: why, and once more. */
function Over({ call, onClose }: { call: CallRecord; onClose: () => void }) {
  const { t } = useTranslation();
  const [problem, setProblem] = useState<unknown>(null);
  const names = call.participants.map(({ nickname }) => nickname).join(", ");
  const again = async () => {
    try {
      const whom = call.participants.map(({ userId }) => userId);
      await startCall(call.roomId, call.type, whom);
      onClose();
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <Dialog title={t("ringing.noCall")} onClose={onClose}>
      <div className="grid gap-4" data-testid="call-over" data-outcome={call.outcome}>
        <p role="status">{t(`ringing.over.${call.outcome ?? "missed"}`, { names })}</p>
        {problem ? <Alert>{sentence(problem)}</Alert> : null}
        <div className="flex justify-end gap-2">
          <Button tone="plain" onClick={onClose} data-testid="call-over-close">
            {t("common.close")}
          </Button>
          <Button onClick={() => void again()}>{t("ringing.again")}</Button>
        </div>
      </div>
    </Dialog>
  );
}
