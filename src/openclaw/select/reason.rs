//! The words of a choice among profiles: whence the list comes, and why one is tried or is not. Ring 2';
//! pure.
//!
//! Source: OpenClaw 2026.6.1, `src/agents/auth-profiles/{order,credential-state}.ts` and the reason codes
//! of its `models status --probe`.

/// Whence the list of profiles comes that are tried at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An order that OpenClaw, or clawkeep, stored for the agent.
    Stored,
    /// `auth.order` of openclaw.json.
    ConfigOrder,
    /// The ids of `auth.profiles` of openclaw.json.
    ConfigProfiles,
    /// No list: every profile of the provider.
    All,
}

impl Source {
    /// A stable word for `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Stored => "stored",
            Source::ConfigOrder => "auth.order",
            Source::ConfigProfiles => "auth.profiles",
            Source::All => "all",
        }
    }

    /// Whether it is an order and not just a set.
    pub fn is_order(self) -> bool {
        matches!(self, Source::Stored | Source::ConfigOrder)
    }
}

/// Why a profile is tried, or is not. The codes are OpenClaw's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is tried.
    Ok,
    /// It is named, and there is none of that id.
    ProfileMissing,
    /// It, or what `auth.profiles` says of it, is another provider's.
    ProviderMismatch,
    /// It is of another type than `auth.profiles` says. (A token where that says `oauth` is none.)
    ModeMismatch,
    /// It holds neither a value nor a ref to one.
    MissingCredential,
    /// Its token's `expires` is over. OpenClaw does not look at that of a login, which it renews.
    Expired,
    /// Its token's `expires` is no moment.
    InvalidExpires,
    /// A login that lies in the credentials folder of an older OpenClaw.
    UnresolvedRef,
    /// There is an order, or a list in `auth.profiles`, and it is not in it.
    ExcludedByAuthOrder,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 9] = [
        Reason::Ok,
        Reason::ProfileMissing,
        Reason::ProviderMismatch,
        Reason::ModeMismatch,
        Reason::MissingCredential,
        Reason::Expired,
        Reason::InvalidExpires,
        Reason::UnresolvedRef,
        Reason::ExcludedByAuthOrder,
    ];

    /// OpenClaw's code.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Ok => "ok",
            Reason::ProfileMissing => "profile_missing",
            Reason::ProviderMismatch => "provider_mismatch",
            Reason::ModeMismatch => "mode_mismatch",
            Reason::MissingCredential => "missing_credential",
            Reason::Expired => "expired",
            Reason::InvalidExpires => "invalid_expires",
            Reason::UnresolvedRef => "unresolved_ref",
            Reason::ExcludedByAuthOrder => "excluded_by_auth_order",
        }
    }

    /// The same for people, after the profile's name: `has expired`.
    pub fn said(self) -> &'static str {
        match self {
            Reason::Ok => "can be used",
            Reason::ProfileMissing => "is named, but there is no such profile",
            Reason::ProviderMismatch => "belongs to another provider",
            Reason::ModeMismatch => "is of another type than auth.profiles of openclaw.json says",
            Reason::MissingCredential => "holds no value and no reference",
            Reason::Expired => "has expired",
            Reason::InvalidExpires => "has an expiry that is no date",
            Reason::UnresolvedRef => "lies in the login folder of an older OpenClaw",
            Reason::ExcludedByAuthOrder => "is not in the order",
        }
    }
}
