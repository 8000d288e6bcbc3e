//! The vendor's list of models, read entry by entry.

use crate::constants::MODEL_LIST_MAX;
use crate::types::model::ModelId;

/// The models of a list, without the entries that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelList {
    /// True if the member is an array.
    pub(super) is_list: bool,
    pub(super) models: Vec<ModelId>,
    /// The current entry.
    pub(super) entry: ModelEntry,
}

/// The texts of an entry that is an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelEntry {
    pub(super) id: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) name: Option<String>,
}

impl ModelList {
    pub(super) fn begin_entry(&mut self) {
        self.entry = ModelEntry::default();
    }

    pub(super) fn end_entry(&mut self) {
        let ModelEntry { id, owner, provider, name } = std::mem::take(&mut self.entry);
        let named = id.as_deref().and_then(ModelId::parse);
        let model = named.or_else(|| {
            let (owner, name) = (owner.as_deref().or(provider.as_deref())?, name.as_deref().or(id.as_deref())?);
            ModelId::try_new(owner, name)
        });
        self.push(model);
    }

    /// Adds an entry that is a name.
    pub(super) fn push_name(&mut self, name: Option<&str>) {
        self.push(name.and_then(ModelId::parse));
    }

    fn push(&mut self, model: Option<ModelId>) {
        self.models.extend(model.filter(|_| self.models.len() < MODEL_LIST_MAX));
    }
}
