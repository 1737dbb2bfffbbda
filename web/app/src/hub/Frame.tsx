import { Outlet } from "react-router";
import { Rings } from "../ringing/Rings.tsx";
import { useSession } from "../session.tsx";

/** Around every page: calls ring wherever one is. */
export function Frame() {
  const { status } = useSession();
  return (
    <>
      <Outlet />
      {status === "in" ? <Rings /> : null}
    </>
  );
}
