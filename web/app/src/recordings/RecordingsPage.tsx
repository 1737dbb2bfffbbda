import type { Recording, RecordingComposed } from "@parlor/sdk";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Enter } from "../pages/Enter.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Page, Spinner } from "../ui.tsx";
import { RecordingItem } from "./RecordingItem.tsx";
import { isMoving } from "./words.ts";

/** `/recordings`: all that one may see, newest first. */
export function RecordingsPage() {
  const { status, user } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <Recordings key={user?.id} /> : <Enter />;
}

const KEY = ["recordings"];
/** While something is being written or made it is looked at again this often. */
const MOVING_MS = 2_000;
const STILL_MS = 30_000;

function Recordings() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { data, error, isPending } = useQuery({
    queryKey: KEY,
    queryFn: () => parlor.recordings.list(),
    refetchInterval: ({ state }) => (state.data?.some(isMoving) ? MOVING_MS : STILL_MS),
  });
  const again = () => queries.invalidateQueries({ queryKey: KEY });

  useEffect(
    () =>
      parlor.recordings.on("composed", (told) => {
        queries.setQueryData<Recording[]>(KEY, (before) => before?.map((one) => withProgress(one, told)));
        if (told.state === "done") void queries.invalidateQueries({ queryKey: KEY });
      }),
    [queries],
  );

  return (
    <Page title={t("recordings.title")}>
      <h1 className="mb-5 text-3xl font-bold">{t("recordings.title")}</h1>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data?.length === 0 ? (
        <p
          className="rounded-2xl border border-dashed border-line p-8 text-center text-soft"
          data-testid="no-recording"
        >
          {t("recordings.empty")}
        </p>
      ) : null}
      <ul className="grid gap-5">
        {data?.map((recording) => (
          <RecordingItem key={recording.recordingId} recording={recording} onChanged={again} />
        ))}
      </ul>
    </Page>
  );
}

function withProgress(recording: Recording, { recordingId, ...composed }: RecordingComposed): Recording {
  return recording.recordingId === recordingId ? { ...recording, composed } : recording;
}
