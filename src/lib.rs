//! deploy-apps
