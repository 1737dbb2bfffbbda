import type { Call, CallSnapshot, TrackSource, Waiter } from "@parlor/sdk";
import { Check, X } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button, Dialog, IconButton } from "../ui.tsx";
import { StreamKeysPanel } from "./StreamKeysPanel.tsx";

interface HostPanelProps {
  roomId: string;
  call: Call;
  snapshot: CallSnapshot;
  mayEnd: boolean;
  act: (work: Promise<void>) => void;
}

/** What a host settles for the whole call: who may speak, be seen and come in, and its end. */
export function HostPanel({ roomId, call, snapshot, mayEnd, act }: HostPanelProps) {
  const { t } = useTranslation();
  const [mayUnmute, setMayUnmute] = useState(snapshot.controls.mutedAll?.mayUnmute ?? true);
  const [ending, setEnding] = useState(false);
  const { controls, waiting } = snapshot;
  const { hosting } = call;
  const muted = controls.mutedAll !== null;
  const changeMayUnmute = (may: boolean) => {
    setMayUnmute(may);
    if (muted) act(hosting.muteAll(true, may));
  };
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-4" data-testid="host-panel">
      <WaitingList waiting={waiting} call={call} act={act} />
      <section aria-label={t("host.sound")} className="grid gap-2 border-b border-line pb-4">
        <h3 className="font-semibold">{t("host.sound")}</h3>
        <Button tone="plain" onClick={() => act(hosting.muteAll(true, mayUnmute))} data-testid="mute-all">
          {t(muted ? "host.muteAgain" : "host.muteAll")}
        </Button>
        {muted ? (
          <Button tone="plain" onClick={() => act(hosting.muteAll(false))} data-testid="unmute-all">
            {t("host.endMute")}
          </Button>
        ) : null}
        <Toggle label={t("host.mayUnmute")} on={mayUnmute} onChange={changeMayUnmute} testId="may-unmute" />
      </section>
      <section aria-label={t("host.pictures")} className="grid gap-1 border-b border-line py-4">
        <h3 className="font-semibold">{t("host.pictures")}</h3>
        {(["camera", "screen"] as const satisfies TrackSource[]).map((source) => (
          <Toggle
            key={source}
            label={t(`host.allow.${source}`)}
            on={!controls.disabled.includes(source)}
            onChange={(allowed) => act(hosting.disable("everybody", source, !allowed))}
            testId={`allow-${source}`}
          />
        ))}
      </section>
      <section aria-label={t("host.door")} className="grid gap-1 border-b border-line py-4">
        <h3 className="font-semibold">{t("host.door")}</h3>
        <Toggle
          label={t("host.lock")}
          on={controls.locked}
          onChange={(locked) => act(hosting.lock(locked))}
          testId="lock"
        />
        <Toggle
          label={t("host.waitingRoom")}
          on={controls.waitingRoom}
          onChange={(enabled) => act(hosting.setWaitingRoom(enabled))}
          testId="waiting-room"
        />
        <p className="px-1 text-sm text-soft">{t("host.doorStays")}</p>
      </section>
      <StreamKeysPanel roomId={roomId} />
      {mayEnd ? (
        <Button tone="danger" className="mt-4 w-full" onClick={() => setEnding(true)} data-testid="end-all">
          {t("host.end")}
        </Button>
      ) : null}
      {ending ? <EndDialog onEnd={() => act(hosting.endForAll())} onClose={() => setEnding(false)} /> : null}
    </div>
  );
}

interface WaitingListProps {
  waiting: readonly Waiter[];
  call: Call;
  act: (work: Promise<void>) => void;
}

function WaitingList({ waiting, call, act }: WaitingListProps) {
  const { t } = useTranslation();
  if (waiting.length === 0) return null;
  return (
    <section
      aria-label={t("host.waiting", { count: waiting.length })}
      className="mb-4 rounded-xl bg-tint p-3"
    >
      <div className="flex items-center justify-between gap-2">
        <h3 className="font-semibold">{t("host.waiting", { count: waiting.length })}</h3>
        {waiting.length > 1 ? (
          <Button tone="plain" onClick={() => act(call.hosting.admit("everybody"))} data-testid="admit-all">
            {t("host.admitAll")}
          </Button>
        ) : null}
      </div>
      <ul>
        {waiting.map(({ userId, nickname }) => (
          <li
            key={userId}
            className="flex min-h-12 items-center gap-1"
            data-testid="waiter"
            data-nickname={nickname}
          >
            <span className="min-w-0 flex-1 truncate">{nickname}</span>
            <IconButton
              label={t("host.admit", { name: nickname })}
              tone="accent"
              onClick={() => act(call.hosting.admit({ userId }))}
              data-testid="admit"
            >
              <Check aria-hidden className="size-5" />
            </IconButton>
            <IconButton
              label={t("host.deny", { name: nickname })}
              onClick={() => act(call.hosting.deny(userId))}
              data-testid="deny"
            >
              <X aria-hidden className="size-5" />
            </IconButton>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface ToggleProps {
  label: string;
  on: boolean;
  onChange: (on: boolean) => void;
  testId: string;
}

function Toggle({ label, on, onChange, testId }: ToggleProps) {
  return (
    <button
      type="button"
      role="switch"
      aria-checked={on}
      onClick={() => onChange(!on)}
      className="flex min-h-11 items-center justify-between gap-3 rounded-xl px-1 text-left hover:bg-sunken"
      data-testid={testId}
    >
      {label}
      <span
        aria-hidden
        className={`flex h-6 w-11 shrink-0 items-center rounded-full border p-0.5 ${on ? "justify-end border-accent bg-accent" : "border-line bg-sunken"}`}
      >
        <span className={`size-4.5 rounded-full ${on ? "bg-on-accent" : "bg-soft"}`} />
      </span>
    </button>
  );
}

function EndDialog({ onEnd, onClose }: { onEnd: () => void; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("host.endTitle")} onClose={onClose}>
      <p className="mb-5">{t("host.endText")}</p>
      <div className="flex flex-wrap justify-end gap-2">
        <Button tone="plain" onClick={onClose}>
          {t("common.cancel")}
        </Button>
        <Button tone="danger" onClick={onEnd} data-testid="end-all-confirm">
          {t("host.end")}
        </Button>
      </div>
    </Dialog>
  );
}
