import { Settings2, VideoOff } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Alert, Button, Page } from "../ui.tsx";
import { CaptureButtons } from "./Controls.tsx";
import { DevicePickers } from "./Devices.tsx";
import { useCapture } from "./hooks.ts";
import { type Capture, canCapture, type LocalMedia } from "./media.ts";
import { Preview } from "./Tile.tsx";

interface LobbyProps {
  name: string;
  media: LocalMedia;
  onJoin: () => void;
  /** Where all is that the room has beside its call. */
  about?: string | null;
}

/** Before the call: how one looks, and which devices are used. Nobody sees anything yet. */
export function Lobby({ name, media, onJoin, about = null }: LobbyProps) {
  const { t } = useTranslation();
  const capture = useCapture(media);
  return (
    <Page title={name}>
      <div className="grid items-center gap-6 md:grid-cols-[3fr_2fr] md:gap-10">
        <Mirror media={media} capture={capture} />
        <div className="grid gap-5">
          <div>
            <p className="text-soft">{t("lobby.title")}</p>
            <h1 className="text-3xl font-bold break-words">{name}</h1>
          </div>
          {capture.denied ? <Alert>{t(canCapture ? "lobby.denied" : "lobby.insecure")}</Alert> : null}
          <DevicePickers media={media} capture={capture} />
          <Button onClick={onJoin} className="min-h-12 text-lg" data-testid="join">
            {t("lobby.join")}
          </Button>
          {about ? (
            <Link
              to={about}
              className="inline-flex min-h-11 items-center gap-2 justify-self-center font-semibold text-accent hover:underline"
              data-testid="room-about"
            >
              <Settings2 aria-hidden className="size-5" />
              {t("rooms.about")}
            </Link>
          ) : null}
        </div>
      </div>
    </Page>
  );
}

/** How one looks, and the buttons to change it. */
export function Mirror({ media, capture }: { media: LocalMedia; capture: Capture }) {
  const { t } = useTranslation();
  return (
    <section aria-label={t("lobby.preview")}>
      <div className="relative aspect-video w-full overflow-hidden rounded-2xl bg-tile">
        <Preview track={capture.camera} />
        {capture.camera ? null : (
          <p className="absolute inset-0 grid place-items-center text-white">
            <span className="grid justify-items-center gap-2">
              <VideoOff aria-hidden className="size-8" />
              {t("lobby.cameraOff")}
            </span>
          </p>
        )}
        <div className="absolute inset-x-0 bottom-3 flex justify-center gap-3">
          <CaptureButtons media={media} capture={capture} />
        </div>
      </div>
    </section>
  );
}
