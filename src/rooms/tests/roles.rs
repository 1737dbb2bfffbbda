//! Roles on the site, and what becomes of them while sockets are open.

use super::*;

async fn give(house: &House, to: &Session, role: SiteRole) {
    let user = to.caller.user.id;
    house.rooms.0.store.set_site_role(user, role).await.unwrap();
    house.rooms.login_changed(&LoginChange::SiteRole(user, role));
}

#[tokio::test]
async fn a_role_on_the_site_holds_on_live_sockets() {
    let house = House::new().await;
    let (owner, guard) = (house.person("owner").await, house.person("guard").await);
    let room = house.room(&owner, Visibility::Public).await;
    house.enter(&guard, room).await.unwrap();
    let may = |house: &House| can(house.seat(&guard, room).standing(), Action::RemoveMember);
    assert!(!may(&house));
    give(&house, &guard, SiteRole::Moderator).await;
    assert!(may(&house));
    give(&house, &guard, SiteRole::Member).await;
    assert!(!may(&house));
    // What was told to another node is seen with the next token.
    house.rooms.0.store.set_site_role(guard.caller.user.id, SiteRole::Moderator).await.unwrap();
    house.rooms.renew(guard.caller.user.id).await.unwrap();
    assert!(may(&house));
}

#[tokio::test]
async fn what_an_old_socket_says_of_its_owner_counts_for_nothing() {
    let house = House::new().await;
    let owner = house.person("owner").await;
    let room = house.room(&owner, Visibility::Public).await;
    let guard = house.moderator("guard").await;
    let may = |house: &House| can(house.seat(&guard, room).standing(), Action::HostCall);
    house.enter(&guard, room).await.unwrap();
    assert!(may(&house));
    house.rooms.leave(&guard, room).unwrap();
    // Nobody is in the room when the role goes, and the socket still has the old one.
    give(&house, &guard, SiteRole::Member).await;
    house.enter(&guard, room).await.unwrap();
    assert!(!may(&house));
    // The other way round.
    let ada = house.person("ada").await;
    give(&house, &ada, SiteRole::Moderator).await;
    house.enter(&ada, room).await.unwrap();
    assert!(can(house.seat(&ada, room).standing(), Action::HostCall));
    assert_eq!(house.seat(&ada, room).user().role, SiteRole::Moderator, "for whatever the seat is shown to");
}

#[tokio::test]
async fn a_role_that_goes_while_somebody_comes_in_is_gone() {
    let house = House::new().await;
    let owner = house.person("owner").await;
    let room = house.room(&owner, Visibility::Public).await;
    for _ in 0..20 {
        let guard = house.moderator("guard").await;
        let (entered, ()) = tokio::join!(house.enter(&guard, room), give(&house, &guard, SiteRole::Member));
        entered.unwrap();
        assert!(!can(house.seat(&guard, room).standing(), Action::HostCall));
        house.rooms.leave(&guard, room).unwrap();
    }
}
