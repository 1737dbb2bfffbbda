import { type Call, type CallSnapshot, trackOf } from "@parlor/sdk";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "../ui.tsx";
import { fitGrid, GAP, pageOf } from "./fit.ts";
import { useSize } from "./hooks.ts";
import type { Capture } from "./media.ts";
import { RemoteTile, SelfTile } from "./Tile.tsx";

/** One less than the most slots there can be: a screen has its own. */
const PAGE = 24;
/** Below this level, in dBov, a microphone only hears the room. */
const SPEAKS_ABOVE = -50;

interface StageProps {
  call: Call;
  snapshot: CallSnapshot;
  capture: Capture;
  nickname: string;
  roomId: string;
  /** Whether we may be seen: not as one of an audience. */
  publishes: boolean;
}

/** Everybody's picture: a grid, or a shared screen or whom the host shows to all, with the others beside it. */
export function Stage({ call, snapshot, capture, nickname, roomId, publishes }: StageProps) {
  const { t } = useTranslation();
  const [page, setPage] = useState(0);
  const own =
    snapshot.participants.find(({ participantId }) => participantId === snapshot.participantId) ?? null;
  const others = snapshot.participants.filter(
    ({ participantId }) => participantId !== snapshot.participantId,
  );
  const speaking = new Set(
    snapshot.speakers.filter(({ level }) => level > SPEAKS_ABOVE).map(({ participantId }) => participantId),
  );
  const screens = others.filter((participant) => {
    const screen = trackOf(participant, "screen");
    return screen?.active && !screen.muted && !screen.mutedByHost;
  });
  const spotlit = others.find(({ participantId }) => participantId === snapshot.controls.spotlight) ?? null;
  const beside = others.filter((participant) => participant !== spotlit);
  const { shown, pages, page: current } = pageOf(beside, page, PAGE);
  const featured = screens.length > 0 || spotlit !== null;

  const self: TileItem = {
    key: "self",
    tile: (
      <SelfTile
        name={nickname}
        camera={capture.camera}
        microphoneOn={capture.microphoneOn}
        own={own}
        moderated={snapshot.moderated}
        speaking={capture.microphoneOn && speaking.has(snapshot.participantId ?? "")}
        spotlit={own !== null && snapshot.controls.spotlight === own.participantId}
      />
    ),
  };
  const tiles: TileItem[] = [
    ...(publishes ? [self] : []),
    ...shown.map((participant) => ({
      key: participant.participantId,
      tile: (
        <RemoteTile
          call={call}
          participant={participant}
          source="camera"
          speaking={speaking.has(participant.participantId)}
          roomId={roomId}
        />
      ),
    })),
  ];

  return (
    <section
      aria-label={t("call.stage")}
      className="flex min-h-0 min-w-0 flex-1 flex-col bg-stage p-2 sm:p-3"
    >
      <div className="flex min-h-0 flex-1 flex-col gap-2 md:flex-row">
        {featured ? (
          <ul className="grid min-h-0 min-w-0 flex-1 auto-rows-fr gap-2">
            {spotlit ? (
              <li key={`spotlight ${spotlit.participantId}`} className="min-h-0" data-testid="spotlit">
                <RemoteTile
                  call={call}
                  participant={spotlit}
                  source="camera"
                  speaking={speaking.has(spotlit.participantId)}
                  roomId={roomId}
                  featured
                />
              </li>
            ) : null}
            {screens.map((participant) => (
              <li key={participant.participantId} className="min-h-0">
                <RemoteTile call={call} participant={participant} source="screen" speaking={false} />
              </li>
            ))}
          </ul>
        ) : null}
        <Tiles tiles={tiles} strip={featured} />
      </div>
      {others.length === 0 && snapshot.phase === "connected" ? (
        <p className="pt-2 text-center text-soft">{t("call.alone")}</p>
      ) : null}
      <Pager page={current} pages={pages} onPage={setPage} />
    </section>
  );
}

interface TileItem {
  key: string;
  tile: ReactNode;
}

/** The people: a grid that fills the stage, or a strip beside a shared screen. The same list either way, so no picture restarts. */
function Tiles({ tiles, strip }: { tiles: TileItem[]; strip: boolean }) {
  const { t } = useTranslation();
  const [box, setBox] = useState<HTMLElement | null>(null);
  const size = useSize(box);
  const grid = fitGrid(tiles.length, size.width, size.height);
  const shape = strip
    ? "flex gap-2 overflow-auto md:size-full md:flex-col"
    : "mx-auto flex size-full flex-wrap content-center justify-center gap-2";
  return (
    // A strip scrolls, and must do so by keyboard too.
    <section
      ref={setBox}
      aria-label={t("call.people")}
      tabIndex={strip ? 0 : undefined}
      className={strip ? "shrink-0 md:w-48" : "min-h-0 flex-1 overflow-hidden"}
    >
      <ul className={shape} style={strip ? undefined : { maxWidth: grid.columns * (grid.width + GAP) }}>
        {tiles.map(({ key, tile }) => (
          <li
            key={key}
            className={strip ? "aspect-video w-32 shrink-0 md:w-full" : ""}
            style={strip ? undefined : { width: grid.width, height: grid.height }}
          >
            {tile}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pager({ page, pages, onPage }: { page: number; pages: number; onPage: (page: number) => void }) {
  const { t } = useTranslation();
  if (pages === 1) return null;
  return (
    <div className="flex items-center justify-center gap-2 pt-2">
      <IconButton
        label={t("call.previousPage")}
        disabled={page === 0}
        onClick={() => onPage(page - 1)}
        data-testid="page-previous"
      >
        <ChevronLeft aria-hidden />
      </IconButton>
      <span className="text-sm">{t("call.morePeople", { page: page + 1, pages })}</span>
      <IconButton
        label={t("call.nextPage")}
        disabled={page === pages - 1}
        onClick={() => onPage(page + 1)}
        data-testid="page-next"
      >
        <ChevronRight aria-hidden />
      </IconButton>
    </div>
  );
}
