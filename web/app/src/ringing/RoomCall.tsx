import { type CallType, ParlorError } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { useLocation, useNavigate, useParams } from "react-router";
import { Lobby } from "../call/Lobby.tsx";
import { MeetingView } from "../call/MeetingView.tsx";
import { LocalMedia } from "../call/media.ts";
import { sentence } from "../errors.ts";
import { titleOf, useDirect } from "../hub/hooks.ts";
import { Enter } from "../pages/Enter.tsx";
import { NotFound } from "../pages/NotFound.tsx";
import { Ended, type Ending, Failed } from "../pages/RoomPage.tsx";
import { parlor, useSession } from "../session.tsx";
import { Spinner } from "../ui.tsx";

/** `/r/ID/call`: the call of a room whose page is its text. Who comes from a ringing call is in it at once. */
export function RoomCall() {
  const { roomId = "" } = useParams();
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <Steps key={roomId} roomId={roomId} /> : <Enter />;
}

/** What the one who answered, or was answered, has agreed to. */
function typeOf(state: unknown): CallType | null {
  const type = typeof state === "object" && state !== null && "type" in state ? state.type : null;
  return type === "voice" || type === "video" ? type : null;
}

function Steps({ roomId }: { roomId: string }) {
  const { user } = useSession();
  const { state } = useLocation();
  const navigate = useNavigate();
  const direct = useDirect(roomId);
  const [rung, setRung] = useState(() => typeOf(state));
  const [media] = useState(() => new LocalMedia());
  const [inside, setInside] = useState(rung !== null);
  const [ending, setEnding] = useState<Ending | null>(null);
  const room = useQuery({ queryKey: ["room", roomId], queryFn: () => parlor.rooms.look(roomId) });
  const capturing = room.data !== undefined && ending === null;
  const two = room.data?.kind === "dm";

  // What was agreed to holds once: nobody is in a call again because they went back, or loaded the page anew.
  useEffect(() => {
    const agreed = typeOf(state);
    if (!agreed) return;
    setRung(agreed);
    setInside(true);
    setEnding(null);
    void navigate(`/r/${roomId}/call`, { replace: true, state: null });
  }, [state, roomId, navigate]);

  useEffect(() => {
    if (!capturing) return;
    if (rung === "voice") media.withoutCamera();
    void media.open();
    return () => media.close();
  }, [media, capturing, rung]);

  const end = useCallback(
    (how: Ending) => {
      // Whoever hangs up goes back to what was written.
      if (how.kind === "left") void navigate(`/r/${roomId}`, { replace: true });
      else setEnding(how);
    },
    [navigate, roomId],
  );

  // Between two, a call is over when the other one hangs up.
  useEffect(
    () =>
      parlor.socket.on("frame", (frame) => {
        if (!two || frame.roomId !== roomId || frame.type !== "call.participant_left") return;
        if (frame.data.userId !== user?.id && frame.data.reason === "left") end({ kind: "left" });
      }),
    [two, roomId, user?.id, end],
  );

  if (room.error instanceof ParlorError && room.error.code === "not_found") return <NotFound />;
  if (room.error) return <Failed problem={sentence(room.error)} onRetry={() => void room.refetch()} />;
  if (!room.data) return <Spinner />;
  const name = direct ? titleOf(direct, user?.id) : room.data.name;
  if (ending) {
    const again = () => {
      setEnding(null);
      setInside(false);
    };
    return <Ended name={name} ending={ending} onAgain={again} />;
  }
  if (!inside) return <Lobby name={name} media={media} onJoin={() => setInside(true)} />;
  return <MeetingView roomId={roomId} name={name} media={media} onEnd={end} />;
}
