import type { Match, MatchPhase, Wishes } from "@parlor/sdk";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useCapture } from "../call/hooks.ts";
import { Mirror } from "../call/Lobby.tsx";
import { canCapture, LocalMedia } from "../call/media.ts";
import { Enter } from "../pages/Enter.tsx";
import { NotHere } from "../place/Brand.tsx";
import { isOn } from "../place/place.ts";
import { type Person, Safety } from "../safety/Safety.tsx";
import { useSession } from "../session.tsx";
import { Alert, Page, Spinner } from "../ui.tsx";
import { useCapturing, useMatch, useMatcher } from "./hooks.ts";
import { defaultLanguage } from "./languages.ts";
import { MatchView } from "./MatchView.tsx";
import { Ended, Found, Searching, TimedOut, Waiting } from "./panels.tsx";
import { Setup } from "./Setup.tsx";

/** `/match`: one stranger after the other. */
export function MatchPage() {
  const { status, user } = useSession();
  if (status === "loading") return <Spinner />;
  if (status === "out") return <Enter />;
  return isOn("matching") ? <Matching key={user?.id} /> : <Off />;
}

function Off() {
  const { t } = useTranslation();
  return (
    <Page title={t("match.title")}>
      <NotHere />
    </Page>
  );
}

/** What the page is about at each phase, for whoever looks from outside. */
const STATES: Record<MatchPhase, string> = {
  idle: "idle",
  searching: "searching",
  waiting: "waiting",
  found: "found",
  ready: "talking",
  ended: "ended",
  timeout: "timeout",
};

/** What we did about a stranger. */
interface Mine {
  userId: string;
  blocked: boolean;
  reported: boolean;
}

function Matching() {
  const { t } = useTranslation();
  const { ended: gone } = useSession();
  const [media] = useState(() => new LocalMedia());
  const [wishes, setWishes] = useState<Wishes>(() => ({
    mode: isOn("video") ? "video" : "text",
    interests: [],
    language: defaultLanguage(navigator.languages),
    confirm: false,
  }));
  const matcher = useMatcher();
  const snapshot = useMatch(matcher);
  const [mine, setMine] = useState<Mine | null>(null);
  const [notice, setNotice] = useState<string | null>(null);
  const { phase, match } = snapshot;
  useCapturing(media, wishes.mode === "video");

  const start = (wanted: Wishes, fallback = false) => {
    setNotice(null);
    setWishes(wanted);
    void matcher?.start(wanted, fallback);
  };
  const stop = () => matcher?.stop();
  const did = ({ userId }: Person, part: Partial<Mine>) =>
    setMine((was) => ({
      blocked: false,
      reported: false,
      ...(was?.userId === userId ? was : {}),
      userId,
      ...part,
    }));

  const panel = {
    idle: () => <Setup wishes={wishes} problem={snapshot.problem} onWishes={setWishes} onStart={start} />,
    searching: () => <Searching snapshot={snapshot} onStop={stop} />,
    waiting: () => <Waiting until={snapshot.until} onStop={stop} />,
    found: () => (
      <Found
        snapshot={snapshot}
        onAccept={() => void matcher?.confirm(true)}
        onDecline={() => void matcher?.next()}
        onStop={stop}
      />
    ),
    ready: () => null,
    ended: () => (
      <Ended
        key={match?.matchId}
        snapshot={snapshot}
        blocked={mine?.userId === match?.partner.userId && mine?.blocked === true}
        reported={mine?.userId === match?.partner.userId && mine?.reported === true}
        notice={notice}
        onStart={() => start(wishes)}
        onChange={stop}
      />
    ),
    timeout: () => (
      <TimedOut onStart={() => start(wishes)} onFallback={() => start(wishes, true)} onStop={stop} />
    ),
  }[phase]();

  return (
    <Safety
      onNotice={setNotice}
      onBlocked={(person, blocked) => did(person, { blocked })}
      onReported={(person) => did(person, { reported: true })}
    >
      <div data-testid="match" data-state={STATES[phase]} className="h-full">
        {isTalking(phase, match) ? (
          <MatchView
            key={match.matchId}
            match={match}
            media={media}
            notice={notice}
            onNotice={setNotice}
            onNext={() => void matcher?.next()}
            onStop={stop}
          />
        ) : (
          <Page title={t("match.title")}>
            {gone === null ? null : <Alert>{t("call.sessionEnded")}</Alert>}
            {wishes.mode === "video" ? (
              <div className="grid items-start gap-6 md:grid-cols-2 md:gap-10">
                <Camera media={media} />
                {panel}
              </div>
            ) : (
              <div className="mx-auto max-w-xl">{panel}</div>
            )}
          </Page>
        )}
      </div>
    </Safety>
  );
}

function isTalking(phase: MatchPhase, match: Match | null): match is Match & { roomId: string } {
  return phase === "ready" && match?.roomId != null;
}

function Camera({ media }: { media: LocalMedia }) {
  const { t } = useTranslation();
  const capture = useCapture(media);
  return (
    <div className="grid gap-3 md:sticky md:top-6">
      <Mirror media={media} capture={capture} />
      {capture.denied ? <Alert>{t(canCapture ? "lobby.denied" : "lobby.insecure")}</Alert> : null}
    </div>
  );
}
